#!/bin/sh
# The whole way of the released ensemble, from data to folder; some seventeen hours of one core. Beside the scripts: kalapa/
# and cinnamon/ as docs/data.md says, open/ with handwriting of other languages, corpora/vietnam_dataset and corpora/fpt
# (synthetic_data/README.md), PP-OCRv6_rec_small.onnx of the package rapidocr, pip install 'netchu[train]'.
# A step that has been made is passed over, a training that was stopped goes on: start it again after any interruption.
set -eu

lines() {  # lines FOLDER COUNT SEED HEIGHT WRITERS [OPTIONS]
    folder=$1 count=$2 seed=$3 height=$4 writers=$5
    shift 5
    [ -f "$folder/labels.tsv" ] || python synthetic_data/gendata_address.py --count "$count" --seed "$seed" \
        --height "$height" --writers "$writers" --out "$folder" "$@"
}

manifest() {  # manifest NAME FOLDER: the real, helping and these synthetic lines; the folds stay as they are recorded
    [ -f "data/$1.csv" ] && return
    python prepare_ext_data.py --kalapa kalapa --labels-json cinnamon/train --helping open --synthetic "$2" --out data
    mv data/train_ext.csv "data/$1.csv"
}

train() {  # train CONFIG
    python train.py -C "release/$1"
}

slim() {  # slim BUNDLE --out OUT
    [ -f "$3" ] || netchu slim "$1" --manifest data/mix_b0.csv --out "$3"
}

mean() {  # mean OUT BUNDLES
    out=$1
    shift
    netchu soup --any-start --bundles "$@" --out "$out"
}

python prepare_ext_data.py --kalapa kalapa --labels-json cinnamon/train --out data
netchu import-weights PP-OCRv6_rec_small.onnx --out outputs/pp_ocrv6_small.safetensors
train pp_1_f0
lines synthetic/address_48 24000 11 48 4000
manifest mix_48 synthetic/address_48
train pp_2_f0
train pp_3_f0
lines synthetic/address_64 9000 21 64 3000
manifest mix_64 synthetic/address_64
train pp_4_f0
train pp_5_f0
train pp_6_f5
run=outputs/release
mean $run/pp_64_f0/best.safetensors $run/pp_5_f0/last.safetensors $run/pp_4_f0/last.safetensors
mean $run/pp_64_f5/best.safetensors $run/pp_6_f5/last.safetensors $run/pp_4_f0/last.safetensors
lines synthetic/address_b0 12000 31 64 4000 --gazetteer packaged corpora/vietnam_dataset corpora/fpt
manifest mix_b0 synthetic/address_b0
train b0_1_f0
train b0_2_f0
train b0_3_f0
train b0_4_f0
train b0_4_f5
slim $run/pp_64_f0/best.safetensors --out outputs/release/slim_0_f0.safetensors
train slim_1_f0
train slim_2_f0
train slim_3_f0
mean $run/slim_64_f0/best.safetensors $run/slim_3_f0/last.safetensors $run/slim_2_f0/last.safetensors
slim $run/slim_64_f0/best.safetensors --out outputs/release/slimmer_0_f0.safetensors
train slimmer_1_f0
train slimmer_2_f0
mean $run/slimmer_12_f0/best.safetensors $run/slimmer_1_f0/last.safetensors $run/slimmer_2_f0/last.safetensors
train slimmer_3_f0
mean $run/slimmer_123_f0/best.safetensors $run/slimmer_3_f0/last.safetensors $run/slimmer_12_f0/best.safetensors
train slimmer_4_f0
train slimmer_5_f0
mean $run/slimmer_1245_f0/best.safetensors $run/slimmer_12_f0/best.safetensors \
    $run/slimmer_4_f0/last.safetensors $run/slimmer_5_f0/last.safetensors
train slimmer_6_f0
train slimmer_7_f0
mean $run/slimmer_67_f0/best.safetensors $run/slimmer_6_f0/last.safetensors $run/slimmer_7_f0/last.safetensors
train slimmer_8_f0
train slimmer_8_f5
mean $run/slimmer_64_f0/best.safetensors $run/slimmer_8_f0/last.safetensors $run/slimmer_67_f0/best.safetensors
mean $run/slimmer_64_f5/best.safetensors $run/slimmer_8_f5/last.safetensors $run/slimmer_67_f0/best.safetensors

address=synthetic_data/gentext_address.py
python $address --count 300000 --gazetteer packaged corpora/vietnam_dataset --out synthetic/addresses.txt
python $address --count 80000 --gazetteer corpora/fpt --out synthetic/wards.txt
python $address --count 1 --gazetteer packaged corpora/vietnam_dataset corpora/fpt --out synthetic/one.txt --places data/places.tsv
texts="--texts synthetic/addresses.txt synthetic/wards.txt --manifest data/train_folds.csv"
netchu language train $texts --fold 0 --out data/lm_f0.nlm
netchu language train $texts --out data/lm.nlm
members=
for member in b0_4 slimmer_64; do
    bundle=$run/${member}_f0/best.safetensors oof=$run/${member}_f0/oof_1.npz
    netchu oof $bundle --manifest data/train_folds.csv --stretch 1 --out $oof
    members="$members $bundle=$oof"
done
netchu select --oof $members --language data/lm.nlm --held-out-language data/lm_f0.nlm --places data/places.tsv
lines synthetic/release 12 5 64 1000 --style kalapa
netchu release --ensemble ensemble.json --lines synthetic/release --manifest data/train_folds.csv data/mix_64.csv data/mix_b0.csv \
    --replace $run/slimmer_64_f0/best.safetensors=$run/slimmer_64_f5/best.safetensors \
    --replace $run/b0_4_f0/best.safetensors=$run/b0_4_f5/best.safetensors
