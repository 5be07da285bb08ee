#!/bin/sh
# Make the sounds of this directory again: speech between two tones that analysis.find_tone can tell apart.
# Needs espeak-ng and sox. 16 kHz: all that speech needs, at a third of the size.
set -eu
cd "$(dirname "$0")"

make_sound() { # NAME VOICE HZ_BEFORE HZ_AFTER TEXT
    work=$(mktemp -d)
    espeak-ng -v "$2" -s 165 -w "$work/said.wav" "$5"
    sox "$work/said.wav" -r 16000 -c 1 -b 16 "$work/speech.wav" gain -n -3 pad 0.15 0.15
    sox -n -r 16000 -c 1 -b 16 "$work/before.wav" synth 0.25 sine "$3" gain -9 fade 0.01 0.25 0.01
    sox -n -r 16000 -c 1 -b 16 "$work/after.wav" synth 0.25 sine "$4" gain -9 fade 0.01 0.25 0.01
    sox "$work/before.wav" "$work/speech.wav" "$work/after.wav" "$1.wav"
    rm -r "$work"
}

make_sound greeting en-us+f3 941 1336 "Hello, this is a caller. Can everybody hear me?"
make_sound farewell en-gb+m3 697 1477 "Yes, we hear you well. Thank you, and good bye."
make_sound voicemail en-us+f3 770 1209 "Nobody can take your call. Please speak after the tone."
make_sound declined en-us+f3 852 1633 "Your call cannot be taken. Good bye."
make_sound menu en-us+f3 1050 1750 "There is a message for you. Press 3 for yes, 4 for no, 5 if it is urgent."

# What replies say, before the menu: a phrase for each type, and the parts of "in 1 5 minutes".
mkdir -p replies

make_phrase() { # NAME TEXT
    work=$(mktemp -d)
    espeak-ng -v en-us+f3 -s 165 -w "$work/said.wav" "$2"
    sox "$work/said.wav" -r 16000 -c 1 -b 16 "replies/$1.wav" gain -n -3 silence 1 0.01 0.1% reverse \
        silence 1 0.01 0.1% reverse pad 0.05 0.1
    rm -r "$work"
}

make_phrase call-you-back-to "I will call you back in"
make_phrase call-you-back-from "Please call me back in"
make_phrase on-my-way "I am on my way."
make_phrase other-line "I am on another call."
make_phrase later-to "I will call you back later."
make_phrase later-from "Please call me back later."
make_phrase meeting "I am in a meeting."
make_phrase other-line-no-call "I am on another call. Please do not call back."
make_phrase text "I have written you a message."
make_phrase minutes "minutes."
make_phrase hours "hours."
make_phrase days "days."
for digit in 0 1 2 3 4 5 6 7 8 9; do make_phrase "$digit" "$digit"; done
