#!/bin/bash
# The README's pages on streams, evidence and reports, run as they stand there: prints each command and
# what it prints. Debian: apt install ffmpeg sox jq espeak-ng alsa-utils
#   cargo build --release && docs/pages.sh [FOLDER]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
PATH=$root/target/release:$PATH
folder=${1:-$(mktemp -d)}
mkdir -p "$folder" && cd "$folder"
rm -rf line-1 line-2 warnings calls clips results ./*.jsonl ./*.wav

# Prints a command, and runs it here; what fails may be what is to be shown.
run() {
    echo "\$ $1"
    eval "$1" || true
}

echo "# sounds: machine voices of espeak-ng, and the people of alsa-utils"
voice='espeak-ng -v en-us -s 150'
$voice -w voice.wav "Good afternoon. This is the fraud department of your bank. We have seen a payment \
that you may not have made. To stop it, please read me the number of your card, and the code on its back."
sox voice.wav caller.wav pad 0 1
sox /usr/share/sounds/alsa/{Front,Rear,Side}_*.wav -r 48000 -c 1 person.wav pad 0 0.2
sox voice.wav -r 48000 spoken.wav
sox -n -r 48000 -c 1 silence.wav trim 0 12
sox spoken.wav silence.wav spoken.wav prog.wav
sox voice.wav call.wav pad 0 1.3 repeat 2

echo; echo "# Screening calls"
run 'mkfifo line-1 line-2'
printf '%s\n' '#!/bin/sh' \
    'echo "$BONAFIDE_TIME $BONAFIDE_STREAM: $BONAFIDE_EVENT $BONAFIDE_P_SPOOF" >> warnings' > warn-agent
chmod +x warn-agent
run 'cat warn-agent'
run 'ffmpeg -v error -re -i caller.wav -ar 8000 -ac 1 -f mulaw - > line-1 &'
run 'ffmpeg -v error -re -i person.wav -ar 8000 -ac 1 -f mulaw - > line-2 &'
run 'bonafide listen line-1 line-2 --format mulaw --rate 8000 --live --min-speech 3 --hold 5 \
    --every alarm --on-alarm ./warn-agent | jq -c "[.time[11:19], .stream, .type, .p_spoof]"'
run 'cat warnings'

echo; echo "# Lines that end and begin again"
run 'bonafide listen line-1 --reopen --format mulaw --rate 8000 --every alarm --log calls > told.jsonl &'
listener=$!
for call in caller person; do
    run "ffmpeg -v error -i $call.wav -ar 8000 -ac 1 -f mulaw - > line-1"
    sleep 4
done
run "kill $listener"
wait $listener || true
run 'jq -c "[.stream, .type, .call, .p_spoof]" told.jsonl'
run 'ls calls'

echo; echo "# Broadcast"
# On a terminal of its own, as only there is it written for people.
cat > programme <<'END'
ffmpeg -v error -re -i prog.wav -ar 48000 -ac 2 -f mp3 - | bonafide listen --live --name programme \
    --timecode 10:00:00:00 --threshold 0.4 --hold 10 --min-speech 3 --osc 127.0.0.1:9000 --min-interval 60
END
sed '1s/^/$ /' programme
script -qec 'sh programme 2> /dev/null' /dev/null < /dev/null | tr -d '\r'

echo; echo "# Evidence"
run 'bonafide scan --log call.jsonl call.wav'
run 'bonafide verify call.jsonl --audio call.wav --engine tract'
speech=$(sed -n 4p call.jsonl | jq -r .speech_s)
run "sed '4s/\"speech_s\":$speech/\"speech_s\":${speech}1/' call.jsonl > changed.jsonl; bonafide verify changed.jsonl"
run "cp call.wav changed.wav; printf '\\001' | dd of=changed.wav bs=1 seek=600000 conv=notrunc status=none"
run 'bonafide verify call.jsonl --audio changed.wav'

echo; echo "# Reports"
mkdir clips
cp call.wav caller.wav person.wav prog.wav clips/
run 'bonafide scan clips/ --output results'
run 'bonafide scan person.wav'
run 'cp voice.wav clips/; bonafide scan clips/ --output results'
run 'bonafide report call.wav -o call.html'
ls -l call.html results
