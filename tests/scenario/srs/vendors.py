"""INVITEs of recording clients as the field knows them, with our own values: what the recording server must take."""

# ruff: noqa: E501, W291 (the messages stand here as they are sent)

from dataclasses import dataclass


@dataclass(frozen=True)
class Vendor:
    """One client's first INVITE. `expected`: label, direction of the answer and AOR of the sender, for each line."""

    name: str
    contact: str
    content_type: str
    body: str
    expected: tuple[tuple[str | None, str, str | None], ...]
    headers: tuple[str, ...] = ("Require: siprec",)
    from_: str = "<sip:SRC@src.example.net>"
    bare_lf: bool = False  # the body's line ends

    @property
    def octets(self) -> bytes:
        body = self.body.strip("\n") + "\n"
        return body.encode() if self.bare_lf else body.replace("\n", "\r\n").encode()


# Two lines, labels inbound and outbound, custom parameters, full snapshot: the layout of hosted platforms.
PLATFORM = Vendor(
    name="platform",
    contact="<sip:SRC@127.0.0.1:5060;transport=tcp>;+sip.src",
    content_type='multipart/mixed;boundary="ss-48f0"',
    headers=("Require: siprec", "Min-SE: 90", "Supported: timer", "MIME-Version: 1.0"),
    body="""
--ss-48f0
Content-Type: application/sdp

v=0
o=- 3981438904 1 IN IP4 127.0.0.1
s=Sidestream
c=IN IP4 127.0.0.1
t=0 0
m=audio {port_a} RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendonly
a=label:inbound
m=audio {port_b} RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=sendonly
a=label:outbound

--ss-48f0
Content-Type: application/rs-metadata+xml
Content-Disposition: recording-session

<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <session session_id="+b6VvL1RRW24nrRQxci3lw==">
    <start-time>2026-03-02T09:15:02.640118Z</start-time>
    <ExtensionParameters xmlns="urn:sidestream:siprec:parameters">
      <Parameter name="Role" value="inbound"/>
      <Parameter name="CalleeDisplayName" value="Marsh &amp; Sons, front desk"/>
    </ExtensionParameters>
  </session>
  <participant participant_id="4/uAfbN0RWqLbFijp+5A/Q==">
    <nameID aor="sip:+14155550142@pstn.example.com"><name xml:lang="en">Ada Field</name></nameID>
  </participant>
  <participant participant_id="L0yHiwMvSo6sbfgjQ2s37g==">
    <nameID aor="sip:desk@marsh.example.org"/>
  </participant>
  <stream stream_id="SiVoBgVqT0KlDFNIWOucRg==" session_id="+b6VvL1RRW24nrRQxci3lw=="><label>inbound</label></stream>
  <stream stream_id="e1gTxFOPT+OR9nesj5OZnA==" session_id="+b6VvL1RRW24nrRQxci3lw=="><label>outbound</label></stream>
  <participantstreamassoc participant_id="4/uAfbN0RWqLbFijp+5A/Q==">
    <send>SiVoBgVqT0KlDFNIWOucRg==</send><recv>e1gTxFOPT+OR9nesj5OZnA==</recv>
  </participantstreamassoc>
  <participantstreamassoc participant_id="L0yHiwMvSo6sbfgjQ2s37g==">
    <send>e1gTxFOPT+OR9nesj5OZnA==</send><recv>SiVoBgVqT0KlDFNIWOucRg==</recv>
  </participantstreamassoc>
</recording>
--ss-48f0--
""",
    expected=(
        ("inbound", "recvonly", "sip:+14155550142@pstn.example.com"),
        ("outbound", "recvonly", "sip:desk@marsh.example.org"),
    ),
)

# A session border controller: blank before the boundary, big labels, old namespace, plain id attributes, G.729 first.
BORDER_CONTROLLER = Vendor(
    name="border controller",
    contact="<sip:acmeSrc@127.0.0.1:5060>;+sip.src",
    content_type="multipart/mixed; boundary=unique-boundary-1",
    from_="<sip:acmeSrc@127.0.0.1>",
    body="""
--unique-boundary-1
Content-Type: application/sdp

v=0
o=- 15119 18131 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port_a} RTP/AVP 18 0 101
a=rtpmap:18 G729/8000
a=rtpmap:101 telephone-event/8000
a=maxptime:30
a=label:67108873
a=sendonly
m=audio {port_b} RTP/AVP 8
a=label:67108874
a=sendonly

--unique-boundary-1
Content-Type: application/rs-metadata+xml
Content-Disposition: recording-session

<?xml version='1.0' encoding='UTF-8'?>
<recording xmlns='urn:ietf:params:xml:ns:recording'>
 <datamode>complete</datamode>
 <session id="BYiC7uSZQGN3VQdzWI1HWw==">
  <associate-time>2026-03-02T09:15:02</associate-time>
  <extensiondata xmlns:apkt="http:/acmepacket.com/siprec/extensiondata"><apkt:ucid>00FA08</apkt:ucid></extensiondata>
 </session>
 <participant id="z1pQMUCRSqZ7wYvlvnJtcw==" session="BYiC7uSZQGN3VQdzWI1HWw==">
  <nameID aor="sip:15550142@127.0.0.1"><name>sip15550142</name></nameID>
  <send>PGYKsbg7R3V6zZj7O0j1lw==</send>
  <associate-time>2026-03-02T09:15:02</associate-time>
 </participant>
 <participant id="jpRVjnptTSFtNIg1VMVhxQ==" session="BYiC7uSZQGN3VQdzWI1HWw==">
  <nameID aor="sip:15550143@127.0.0.1"><name>sip15550143</name></nameID>
  <send>SuDPmz0KRv9Rk1m8SlPtmg==</send>
 </participant>
 <stream id="PGYKsbg7R3V6zZj7O0j1lw==" session="BYiC7uSZQGN3VQdzWI1HWw==">
  <label>67108873</label><mode>separate</mode>
 </stream>
 <stream id="SuDPmz0KRv9Rk1m8SlPtmg==" session="BYiC7uSZQGN3VQdzWI1HWw==">
  <label>67108874</label><mode>separate</mode>
 </stream>
</recording>
--unique-boundary-1--
""",
    expected=(
        ("67108873", "recvonly", "sip:15550142@127.0.0.1"),
        ("67108874", "recvonly", "sip:15550143@127.0.0.1"),
    ),
)

# Another: prefixed names, a foreign block in the group, and the first participant sends the second label.
CROSSED_LABELS = Vendor(
    name="crossed labels",
    contact="<sip:SIPREC-SRC@127.0.0.1:5060>;+sip.src",
    content_type="multipart/mixed;boundary=sonus-content-delim",
    headers=("Require: siprec", "Supported: timer,100rel", "Session-Expires: 1800"),
    body="""
--sonus-content-delim
Content-Disposition: session; handling=required
Content-Length: 320
Content-Type: application/sdp

v=0
o=Sonus_UAC 7 1 IN IP4 127.0.0.1
s=SIP Media Capabilities
t=0 0
m=audio {port_a} RTP/AVP 0
c=IN IP4 127.0.0.1
a=label:1
a=sendonly
a=maxptime:20
m=audio {port_b} RTP/AVP 0
c=IN IP4 127.0.0.1
a=label:2
a=sendonly
--sonus-content-delim
Content-Disposition: recording-session
Content-Type: application/rs-metadata+xml

<?xml version="1.0" encoding="UTF-8"?>
<tns:recording xmlns:tns="urn:ietf:params:xml:ns:recording" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<tns:datamode>complete</tns:datamode>
<tns:group group_id="R1JPVVA="><tns:associate-time>1970-01-01T00:00:00Z</tns:associate-time>
<callData xmlns="urn:example:calldata"><From>sip:1@x</From></callData></tns:group>
<tns:session session_id="U0VTUw=="><tns:group-ref>R1JPVVA=</tns:group-ref></tns:session>
<tns:participant participant_id="UDE="><tns:nameID aor="9725550142@127.0.0.1"><tns:name> </tns:name></tns:nameID></tns:participant>
<tns:participant participant_id="UDI="><tns:nameID aor="9725550143@127.0.0.1"><tns:name> </tns:name></tns:nameID></tns:participant>
<tns:stream stream_id="UzE=" session_id="U0VTUw=="><tns:label>1</tns:label></tns:stream>
<tns:stream stream_id="UzI=" session_id="U0VTUw=="><tns:label>2</tns:label></tns:stream>
<tns:participantstreamassoc participant_id="UDE="><tns:send>UzI=</tns:send><tns:recv>UzE=</tns:recv></tns:participantstreamassoc>
<tns:participantstreamassoc participant_id="UDI="><tns:send>UzE=</tns:send><tns:recv>UzI=</tns:recv></tns:participantstreamassoc>
</tns:recording>
--sonus-content-delim--
""",
    expected=(
        ("1", "recvonly", "9725550143@127.0.0.1"),
        ("2", "recvonly", "9725550142@127.0.0.1"),
    ),
)

# A gateway: inactive at first, no associations yet, comfort noise, a third part of another kind.
GATEWAY = Vendor(
    name="gateway",
    contact="<sip:127.0.0.1:5060>;+sip.src",
    content_type="multipart/mixed;boundary=uniqueBoundary",
    from_="<sip:127.0.0.1>",
    headers=("Require: siprec", "Cisco-Guid: 3037521408-0000065536-0000000081-1376264458", "Expires: 180"),
    body="""
--uniqueBoundary  
Content-Type: application/sdp
Content-Disposition: session;handling=required

v=0
o=CiscoSystemsSIP-GW-UserAgent 5597 9190 IN IP4 127.0.0.1
s=SIP Call
c=IN IP4 127.0.0.1
t=0 0
m=audio {port_a} RTP/AVP 0 101 19
c=IN IP4 127.0.0.1
a=rtpmap:19 CN/8000
a=rtpmap:101 telephone-event/8000
a=ptime:20
a=inactive
a=label:1
m=audio {port_b} RTP/AVP 0 101 19
c=IN IP4 127.0.0.1
a=inactive
a=label:2

--uniqueBoundary
Content-Type: application/rs-metadata+xml
Content-Disposition: recording-session

<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
<datamode>complete</datamode>
<session session_id="n8a0wi3VEeaAEqQAlY8EAA==">
<sipSessionID>8a0e2cbbd1b05f3a9cb8b8eb7e2d2f08;remote=f8d3b84e3b5c5a7db8f0cf1d6c1d3c2e</sipSessionID>
<start-time>2026-03-02T09:15:02.640Z</start-time></session>
<participant participant_id="n8a0wi3VEeaAE6QAlY8EAA=="><nameID aor="sip:1001@127.0.0.1"></nameID></participant>
<participantsessionassoc participant_id="n8a0wi3VEeaAE6QAlY8EAA==" session_id="n8a0wi3VEeaAEqQAlY8EAA=="/>
<stream stream_id="n8a0wi3VEeaAF6QAlY8EAA==" session_id="n8a0wi3VEeaAEqQAlY8EAA=="><label>1</label></stream>
<participantstreamassoc participant_id="n8a0wi3VEeaAE6QAlY8EAA==">
<send>n8a0wi3VEeaAF6QAlY8EAA==</send></participantstreamassoc>
<stream stream_id="n8a0wi3VEeaAGKQAlY8EAA==" session_id="n8a0wi3VEeaAEqQAlY8EAA=="><label>2</label></stream>
</recording>
--uniqueBoundary
Content-Type: application/gtd
Content-Disposition: signal;handling=optional

IAM,
GCI,9bc6b4c22dd511e68012a400958f0400
--uniqueBoundary--
""",
    expected=(("1", "inactive", "sip:1001@127.0.0.1"), ("2", "inactive", None)),
)

# An enterprise border controller: bare line feeds, Contact ;src, old media type, Opus among the codecs.
LINE_FEEDS = Vendor(
    name="line feeds",
    contact="<sip:127.0.0.1:5060>;src",
    content_type="multipart/mixed;boundary=boundary_ac1fffff85b",
    from_="<sip:127.0.0.1>",
    bare_lf=True,
    body="""
--boundary_ac1fffff85b
Content-Type: application/sdp

v=0
o=AudiocodesGW 921244928 921244893 IN IP4 127.0.0.1
s=SBC-Call
c=IN IP4 127.0.0.1
t=0 0
m=audio {port_a} RTP/AVP 96 8 126
c=IN IP4 127.0.0.1
a=ptime:20
a=sendonly
a=label:1
a=rtpmap:96 opus/48000/2
a=rtpmap:8 PCMA/8000
a=rtpmap:126 telephone-event/8000
m=audio {port_b} RTP/AVP 8 126
c=IN IP4 127.0.0.1
a=sendonly
a=label:2
a=rtpmap:126 telephone-event/8000
--boundary_ac1fffff85b
Content-Type: application/rs-metadata
Content-Disposition: recording-session

<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns='urn:ietf:params:xml:ns:recording' xmlns:ac='http://AudioCodes'>
<datamode>complete</datamode>
<group id="00000000-0000-0000-0000-00003a36c4e3"><associate-time>2026-03-02T09:15:02</associate-time></group>
<session id="0000-0000-0000-0000-00000000d0d71a52"><group-ref>00000000-0000-0000-0000-00003a36c4e3</group-ref></session>
<participant id="1056" session="0000-0000-0000-0000-00000000d0d71a52">
<nameID aor="1056@127.0.0.1"></nameID>
<send>00000000-0000-0000-0000-000032e3a8bf</send><recv>00000000-0000-0000-0000-000032e3a8c0</recv>
</participant>
<participant id="182052092" session="0000-0000-0000-0000-00000000d0d71a52">
<nameID aor="182052092@127.0.0.1"></nameID>
<send>00000000-0000-0000-0000-000032e3a8c0</send>
</participant>
<stream id="00000000-0000-0000-0000-000032e3a8bf" session="0000-0000-0000-0000-00000000d0d71a52"><label>1</label></stream>
<stream id="00000000-0000-0000-0000-000032e3a8c0" session="0000-0000-0000-0000-00000000d0d71a52"><label>2</label></stream>
</recording>
--boundary_ac1fffff85b--
""",
    expected=(("1", "recvonly", "1056@127.0.0.1"), ("2", "recvonly", "182052092@127.0.0.1")),
)

# A hosted telephone system: metadata first, a root and namespace of its own, no Require, no direction, one mixed line.
HOSTED = Vendor(
    name="hosted",
    contact="<sip:127.0.0.1:5060>;src",
    content_type="multipart/mixed;boundary=UniqueBroadWorksBoundary",
    from_='"Ada Field" <sip:+14155550142@as.example.net;user=phone>',
    headers=("Supported: siprec", "Recv-Info:"),
    body="""
--UniqueBroadWorksBoundary
Content-Type: application/rs-metadata+xml
Content-Disposition: recording-session

<?xml version="1.0" encoding="UTF-8"?>
<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec">
<dataMode>complete</dataMode>
<recording id="urn:uuid:6e0a3b3c-0000-4000-8000-000000000001"><requestor>SRC</requestor></recording>
<group id="urn:uuid:6e0a3b3c-0000-4000-8000-000000000002"><initiator>sip:a@as.example.net</initiator></group>
<session id="urn:uuid:6e0a3b3c-0000-4000-8000-000000000003"/>
<participant id="urn:uuid:6e0a3b3c-0000-4000-8000-000000000004">
<aor>sip:+14155550142@as.example.net;user=phone</aor><name>Ada Field</name>
<send><id>urn:uuid:6e0a3b3c-0000-4000-8000-000000000006</id></send></participant>
<stream id="urn:uuid:6e0a3b3c-0000-4000-8000-000000000006"><label>1</label><mode>mixed</mode></stream>
</recording_metadata>
--UniqueBroadWorksBoundary
Content-Type: application/sdp

v=0
o=BroadWorks 81 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port_a} RTP/AVP 0 8
a=label:1
--UniqueBroadWorksBoundary--
""",
    expected=(("1", "recvonly", "sip:+14155550142@as.example.net;user=phone"),),
)

# A telephone server: unbracketed Contact, old media type, no label in the SDP at all.
UNBRACKETED = Vendor(
    name="unbracketed",
    contact="sip:src@127.0.0.1:5060;transport=udp;+sip.src",
    content_type="multipart/mixed;boundary=metaswitch-boundary ",
    headers=("Require: siprec", "P-Asserted-Identity: <sip:2025550142@ms.example.net>"),
    body="""
--metaswitch-boundary
Content-Type:application/sdp

v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port_a} RTP/AVP 0
m=audio {port_b} RTP/AVP 0
--metaswitch-boundary
content-disposition:recording-session
CONTENT-TYPE:application/rs-metadata

<recording xmlns="urn:ietf:params:xml:ns:recording" id="x"><datamode>complete</datamode>
<session session_id="1"/>
<participant participant_id="a"><nameID aor="2025550142"/></participant>
<participantstreamassoc participant_id="a"><send>sa</send></participantstreamassoc>
<participant participant_id="b"><nameID aor="tel:2025550143"/></participant>
<participantstreamassoc participant_id="b"><send>sb</send></participantstreamassoc>
<stream stream_id="sa"/><stream stream_id="sb"/>
</recording>
""",
    expected=((None, "recvonly", "2025550142"), (None, "recvonly", "tel:2025550143")),
)

# A proxy with recording: tag inside the URI, broken XML (a raw & in a name), labels of legs.
BROKEN_XML = Vendor(
    name="broken XML",
    contact="<sip:src@127.0.0.1:5060;+sip.src>",
    content_type="multipart/mixed;boundary=OSS-unique-boundary-42",
    body="""
--OSS-unique-boundary-42
Content-Type: application/sdp

v=0
o=root 1 1 IN IP4 0.0.0.0
s=-
m=audio {port_a} RTP/AVP 0
a=sendonly
a=label:a_leg
m=audio {port_b} RTP/AVP 0
a=sendonly
a=label:b_leg

--OSS-unique-boundary-42
Content-Type: application/rs-metadata+xml
Content-Disposition: recording-session

<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns='urn:ietf:params:xml:ns:recording:1'><datamode>complete</datamode>
<participant participant_id="a"><nameID aor="sip:a@x"><name>Marsh & Sons <front></name></nameID></participant>
</recording>
--OSS-unique-boundary-42--
""",
    expected=(("a_leg", "recvonly", None), ("b_leg", "recvonly", None)),
)

VENDORS = (
    PLATFORM,
    BORDER_CONTROLLER,
    CROSSED_LABELS,
    GATEWAY,
    LINE_FEEDS,
    HOSTED,
    UNBRACKETED,
    BROKEN_XML,
)
