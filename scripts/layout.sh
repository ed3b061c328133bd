# Sourced by scripts whose tools read code without running it: lays craft/ and the folders that are parts of it out by links
# as pip would install them, in .layout/, and sets CRAFT_LAYOUT to that folder.

CRAFT_LAYOUT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.layout"
rm -rf "$CRAFT_LAYOUT"
mkdir -p "$CRAFT_LAYOUT/craft"
for path in craft/* anchors bundled configs datasets lab trainers; do
    ln -s "../../$path" "$CRAFT_LAYOUT/craft/"
done
export CRAFT_LAYOUT
