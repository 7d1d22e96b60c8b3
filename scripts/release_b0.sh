#!/bin/sh
# The whole way of the b0 bundle, from data to released folder; about fifteen hours on two cores. Beside the scripts:
# kalapa/ and cinnamon/ as docs/data.md says, corpora/vietnam_dataset and corpora/fpt (synthetic_data/README.md),
# POEMS.csv with a column `content`, pip install 'netchu[train]'.
# A step that has been made is passed over, a training that was stopped goes on: start it again after any interruption.
set -eu

lines() {  # lines GENERATOR FOLDER COUNT SEED [OPTIONS]
    generator=$1 folder=$2 count=$3 seed=$4
    shift 4
    [ -f "$folder/labels.tsv" ] || python "synthetic_data/gendata_$generator.py" --count "$count" --seed "$seed" \
        --height 64 --out "$folder" "$@"
}

manifest() {  # manifest NAME FOLDERS: the real lines and these synthetic ones; the folds stay as they are recorded
    name=$1
    shift
    [ -f "data/$name.csv" ] && return
    python prepare_ext_data.py --kalapa kalapa --labels-json cinnamon/train --synthetic "$@" --out data
    mv data/train_ext.csv "data/$name.csv"
}

train() {  # train CONFIG [OPTIONS]
    config=$1
    shift
    python train.py -C "release/$config" "$@"
}

mean() {  # mean OUT BUNDLES
    out=$1
    shift
    netchu soup --any-start --bundles "$@" --out "$out"
}

python prepare_ext_data.py --kalapa kalapa --labels-json cinnamon/train --out data
train b0_1_real_f0
words="--manifest data/train_folds.csv --folds 1,2,3,4 --bundle outputs/release/b0_1_real_f0/best.safetensors"
lines address synthetic/d_address 19200 0
lines poems synthetic/d_poems 6400 0 --poems POEMS.csv
lines aug synthetic/d_aug 8000 0 $words
manifest mix_d synthetic/d_address synthetic/d_poems synthetic/d_aug
train b0_2_mixed_f0
train b0_3_fine_f0
lines address synthetic/p_address 30000 1
lines poems synthetic/p_poems 8000 1 --poems POEMS.csv
lines aug synthetic/aug 12000 1 $words
manifest mix_p synthetic/p_address synthetic/p_poems synthetic/aug
train b0_4_synthetic_f0
lines address synthetic/q_address 30000 2
lines poems synthetic/q_poems 12000 2 --poems POEMS.csv
manifest mix_q synthetic/q_address synthetic/q_poems synthetic/aug
train b0_5_more_f0
mean outputs/release/b0_5_mean_f0/last.safetensors outputs/release/b0_4_synthetic_f0/last.safetensors outputs/release/b0_5_more_f0/last.safetensors
train b0_6_tall_f0
train b0_6_tall_seed12_f0
mean outputs/release/b0_6_mean_f0/last.safetensors outputs/release/b0_6_tall_f0/last.safetensors outputs/release/b0_6_tall_seed12_f0/last.safetensors
for config in b0_7_real_f0 b0_7_real_seed1_f0; do train $config; done
mean outputs/release/b0_192_high_f0/best.safetensors outputs/release/b0_7_real_f0/last.safetensors outputs/release/b0_7_real_seed1_f0/last.safetensors
train b0_7_real_f0 --fold 5 --set epochs=7
train b0_7_real_seed1_f0 --fold 5 --set epochs=4
mean outputs/release/b0_192_high_f5/best.safetensors outputs/release/b0_7_real_f5/last.safetensors outputs/release/b0_7_real_seed1_f5/last.safetensors

address=synthetic_data/gentext_address.py
python $address --count 300000 --gazetteer packaged corpora/vietnam_dataset --out synthetic/addresses.txt
python $address --count 80000 --gazetteer corpora/fpt --out synthetic/wards.txt
python $address --count 1 --gazetteer packaged corpora/vietnam_dataset corpora/fpt --out synthetic/one.txt --places data/places.tsv
texts="--texts synthetic/addresses.txt synthetic/wards.txt --manifest data/train_folds.csv"
netchu language train $texts --fold 0 --out data/lm_f0.nlm
netchu language train $texts --out data/lm.nlm
bundle=outputs/release/b0_192_high_f0/best.safetensors
members=
for stretch in 0.9 1 1.15; do
    netchu oof $bundle --manifest data/train_folds.csv --stretch $stretch --out outputs/release/b0_192_high_f0/oof_$stretch.npz
    members="$members $bundle=outputs/release/b0_192_high_f0/oof_$stretch.npz"
done
netchu select --oof $members --language data/lm.nlm --held-out-language data/lm_f0.nlm --places data/places.tsv --time-s 0.14
lines address synthetic/release 12 5 --style kalapa
netchu release --ensemble ensemble.json --lines synthetic/release --manifest data/train_folds.csv data/mix_p.csv data/mix_q.csv \
    --replace $bundle=outputs/release/b0_192_high_f5/best.safetensors
