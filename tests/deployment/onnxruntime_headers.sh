#!/bin/sh
# What explain.cpp is compiled with in test_programs.py: headers of ONNX Runtime and nlohmann/json, out of Debian's packages.
# They are unpacked beside this file; nothing is installed. Debian 12 has no onnxruntime, so the lists are those of 13, kept apart.
set -eu
cd "$(dirname "$0")"
folder=$PWD/headers
rm -rf "$folder"
mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
echo '*' > "$folder/.gitignore"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] http://deb.debian.org/debian trixie main" > "$folder/sources.list"
apt_get() {
    apt-get --quiet --quiet -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root "$@"
}
apt_get update
cd "$folder"
apt_get download libonnxruntime-dev nlohmann-json3-dev
for package in *.deb; do
    dpkg --extract "$package" .
done
rm -rf lists cache ./*.deb
