# Shared by types.sh and docs.sh, which `source` it: lays the rooms out by links as pip would install them, because type
# checkers and documentation tools do not follow a package's path. Leaves the folder, which goes with the script, in $layout.

layout="$(mktemp -d)"
trap 'rm -rf "$layout"' EXIT
mkdir "$layout/craft"
for path in "$PWD"/craft/* "$PWD"/anchors "$PWD"/bundled "$PWD"/datasets "$PWD"/lab "$PWD"/trainers; do
    ln -s "$path" "$layout/craft/"
done
