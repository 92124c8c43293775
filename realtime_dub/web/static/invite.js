// Links for others: for one role in one room.

// `link` as the server makes it, `share` the address that others find it at. Who has the page open on the server's own
// machine gives that one. The token goes behind the #: browsers send that to no server, so that it stands in no log.
export function linkFor({ query, token }, share) {
  const address = new URL(pageAddress(share));
  address.search = query;
  if (token) address.hash = new URLSearchParams({ token });
  return address.href;
}

// Where others find the page.
export function pageAddress(share) {
  const here = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  return (here && share) || new URL("/", location.href).href;
}

// Whether the browser allowed it.
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
