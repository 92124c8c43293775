#!/bin/sh
# Every figure of engines/mouthbank/README.md: tools/measure-voice.sh GRID LANDMARKS PREPARED [OUT]
# GRID holds s1 and others, LANDMARKS their landmark files, PREPARED is prepare-dataset's folder of s1.
set -eu
grid=$1 landmarks=$2 prepared=$3 out=${4:-engines/mouthbank/training}
python=${PYTHON:-python}
quality() { "$python" -m benchmarks.quality --json "$out/rendered_$1.json" --data "$grid$2" $3 | tail -1; }
mkdir -p "$out"
quality others /others ""
quality others_noise_10_db /others "--noise-db 10"
quality others_opus_16_kbit /others "--opus-kbit 16"
quality others_true_motion /others "--cross --true-motion"
quality s1_test "" "--clips 50"
quality s1_true_motion "" "--clips 10 --cross --true-motion"
bundles=engines/mouthbank/bundle
"$python" -m engines.mouthbank.voices --data "$grid/s1" --cache "$landmarks" --part test --bundle $bundles --json "$out/s1_test.json"
"$python" -m engines.mouthbank.voices --data "$grid/others" --cache "$landmarks" --bundle $bundles --json "$out/other_speakers.json"
sweep=""
for folder in engines/mouthbank/bundle*; do sweep="$sweep --bundle $folder"; done
"$python" -m benchmarks.sweeps --data "$prepared" --clips 20 $sweep -o docs | tail -1 > "$out/look_ahead.json"
