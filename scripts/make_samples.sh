#!/bin/sh
# Speaks the test samples anew (8 kHz, mono, 16-bit). Needs espeak-ng and sox; the WAVs are in the tree, so nobody else does.
set -eu
out="$(dirname "$0")/../src/sidestream/testing/samples"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# speak NAME VOICE WORDS-PER-MINUTE PITCH TEXT
speak() {
    espeak-ng -v "$2" -s "$3" -p "$4" -w "$work/$1.wav" "$5"
    # No dither, so that the same synthesiser gives the same bytes; silence is trimmed at both ends and in the middle.
    sox -D "$work/$1.wav" -r 8000 -c 1 -b 16 "$out/$1.wav" \
        silence -l 1 0.02 0.5% -1 0.25 0.5% gain -n -3
}

speak caller en-us+m3 165 40 "Good morning. I ordered a blue bicycle on the ninth of March, \
and the front wheel came without its tyre. Could you send another before Friday?"
speak agent en-gb+f3 160 62 "Thank you for calling. I am very sorry about the wheel. \
A new tyre leaves our warehouse tonight, so it should reach you on Thursday."
