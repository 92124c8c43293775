"""GStreamer sends into a WHIP endpoint: its own capture, encoders, clock and connection; HTTP alone is Python's.

    python3 tests/gst_whip.py http://127.0.0.1:8080/whip/hall [--audio-only]

Needs PyGObject and the typelibs of GStreamer, in whatever Python has them (Debian: python3-gi,
gir1.2-gst-plugins-bad-1.0, gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad, gstreamer1.0-nice).
"""

import sys
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

VIDEO = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 ! vp8enc deadline=1 "
    "keyframe-max-dist=15 ! rtpvp8pay ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer. "
)
AUDIO = (
    "audiotestsrc is-live=true wave=sine freq=440 ! audioconvert ! audioresample ! audio/x-raw,channels=2 ! opusenc "
    "! rtpopuspay ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100 ! peer. "
)


def main(url, audio_only):
    Gst.init(None)
    pipeline = Gst.parse_launch("webrtcbin name=peer bundle-policy=max-bundle " + ("" if audio_only else VIDEO) + AUDIO)
    peer = pipeline.get_by_name("peer")

    def gathered(peer, _):
        """Without trickling: the offer goes out once it has all candidates."""
        if peer.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return
        offer = peer.get_property("local-description").sdp.as_text()
        asked = urllib.request.Request(url, offer.encode(), {"Content-Type": "application/sdp"})
        with urllib.request.urlopen(asked, timeout=30) as response:
            answer = response.read()
        _, sdp = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(answer, sdp)
        described = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        peer.emit("set-remote-description", described, None)

    def made(promise, *_):
        promise.wait()
        reply = promise.get_reply()  # kept: what is in it is freed with it
        offer = reply.get_value("offer")
        peer.emit("set-local-description", offer, None)

    peer.connect("notify::ice-gathering-state", gathered)
    peer.connect(
        "on-negotiation-needed",
        lambda peer: peer.emit("create-offer", None, Gst.Promise.new_with_change_func(made, None)),
    )
    pipeline.set_state(Gst.State.PLAYING)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1], "--audio-only" in sys.argv)
