"""The browser studio: a server that dubs whoever opens its page, over WebRTC."""
