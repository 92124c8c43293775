#!/bin/sh
# Every figure of engines/mouthbank/README.md and docs/quality.md: tools/measure-voice.sh GRID PREPARED [OUT]
# GRID holds s1, others and people, PREPARED the folders of the same names that prepare-dataset has made of them, with
# --layout grid; people with --min-confidence 0, too, or who is hard to follow is left out. What is missing is not measured:
# people, PREPARED/speech (--layout speech, with the environment variable RUN of train-engine mouthbank) for
# docs/free-speech.md and the speech net, the folder in the environment variable CURVES, of drawn curves, and people left out in
# turn, with the environment variable STRANGER: the run of a voice net that has learnt from none of them.
set -eu
grid=$1 prepared=$2 out=${3:-engines/mouthbank/training}
people=benchmarks/grid.people.tsv
python=${PYTHON:-python} bundle=engines/mouthbank/bundle
# quality NAME FOLDER OPTIONS...
quality() {
    name=$1 folder=$2
    shift 2
    "$python" -m benchmarks.quality --json "$out/rendered_$name.json" --data "$folder" \
        --people "$people" --look-ahead 80 "$@" | tail -1
}
voices() { "$python" -m engines.mouthbank.voices --bundle "$bundle" --people "$people" "$@" > /dev/null; }
speakers() { "$python" -m engines.mouthbank.by_speaker --bundle "$bundle" "$@" | tail -1 > /dev/null; }
mkdir -p "$out/baselines"
quality others "$grid/others"
quality others_file "$grid/others" --look-ahead 160
quality s1_test "$grid" --clips 50
[ ! -d "$grid/people" ] || quality people "$grid/people" --of-each 2
quality others_noise_10_db "$grid/others" --noise-db 10 --rows dubbed,shuffled
quality others_file_noise_10_db "$grid/others" --look-ahead 160 --noise-db 10 --rows dubbed,shuffled
quality others_opus_16_kbit "$grid/others" --opus-kbit 16 --rows dubbed,shuffled
sweep=""
for each in "$bundle" "$bundle"-[0-9]*; do sweep="$sweep --bundle $each"; done
# shellcheck disable=SC2086
"$python" -m benchmarks.sweeps --data "$prepared/s1" --clips 20 $sweep -o docs | tail -1 > "$out/look_ahead.json"
voices --data "$prepared/s1" --part test --json "$out/s1_test.json"
quality others_true_motion "$grid/others" --cross --rows truth,frozen
quality s1_true_motion "$grid" --clips 10 --cross --rows truth,frozen
quality s1_cross "$grid" --clips 10 --cross
quality s1_noise "$grid" --part validation --noise-db clean,20,10,5,0 --charts docs
quality s1_look_ahead "$grid" --part validation --look-ahead 0,40,80,160 --charts docs
# The other nets' figures are kept; --bundle NAME=FOLDER, from the stages compare-..., measures one of them anew.
"$python" -m benchmarks.sweeps --data "$prepared/s1" --part validation --clips 60 --compare "$out/baselines/figures.json" \
    -o docs | tail -1
voices --data "$prepared/others" --json "$out/other_speakers.json"
for name in others people; do
    [ -d "$prepared/$name" ] || continue
    most=10
    [ "$name" = others ] || most=4
    speakers --data "$prepared/$name" --of-each "$most" --json "$out/net_$name.json"
    speakers --data "$prepared/$name" --of-each "$most" --hand-back --json "$out/net_${name}_hand_back.json"
done
if [ -d "$grid/people" ]; then
    "$python" -m benchmarks.adapted --data "$grid/people" --speaker s05 --speaker s33 | tail -1 > "$out/adapted.json"
    "$python" -m benchmarks.hard_sheets --data "$grid/people" -o docs/faces.jpg
    "$python" -m benchmarks.closing --data "$grid/people" --speaker s05 --speaker s33 --of-each 4 | tail -1 > "$out/closing.json"
    "$python" -m benchmarks.expression --data "$grid/people" --expressions smile | tail -1 > "$out/expression.json"
    "$python" -m benchmarks.first_words --data "$grid" --speakers s02,s03,s04,s05,s30,s32,s33,s1 | tail -1 > "$out/first_words.json"
fi
if [ -d "$prepared/people" ] && [ -n "${STRANGER:-}" ]; then
    mkdir -p "$out/leave_out"
    "$python" -m engines.mouthbank.leave_out --data "$prepared/people" --data "$prepared/s1" --out "$STRANGER/left-out" \
        --last-layer "$STRANGER" --leave-out s02 --leave-out s03 --leave-out s04 --leave-out s05 --leave-out s30 \
        --leave-out s32 --leave-out s33 --json "$out/leave_out/last_layer.json" | tail -1 > /dev/null
fi
if [ -n "${CURVES:-}" ]; then
    "$python" -m engines.mouthbank.curves --data "$CURVES" --bundle "$bundle" --json "$out/curves.json" | tail -1 > /dev/null
fi
if [ -d "$prepared/speech" ] && [ -n "${RUN:-}" ]; then
    set -- --data "$prepared/s1" --data "$prepared/speech"
    "$python" -m engines.mouthbank.proxy "$@" --data "$prepared/people" --stranger s05 --stranger s33 \
        --run "$RUN" --bundle "$bundle" --json "$out/free_speech.json" > /dev/null
    "$python" -m engines.speech.evaluate "$@" --net "$RUN/voice" --json engines/speech/training/figures.json > /dev/null
fi
