// Package tlog reads a ledger's checkpoint, tiles and bundles with the Go
// project's own implementation of transparent logs, which shares no code with
// the ledger, and asks whether it agrees.
//
// It reads the directory named by DOCKET_TLOG_EXPORT, written by
// `cargo run -p docket-ledger --example export -- DIRECTORY`.
package tlog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

// export is the directory under test.
func export(t *testing.T) string {
	t.Helper()
	directory := os.Getenv("DOCKET_TLOG_EXPORT")
	if directory == "" {
		t.Fatal("DOCKET_TLOG_EXPORT is not set; write an export first, see the package comment")
	}
	return directory
}

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// checkpoint opens the note with the verifier key and returns size and root.
func checkpoint(t *testing.T, directory string) tlog.Tree {
	t.Helper()
	key := strings.TrimSpace(string(read(t, directory, "verifier-key")))
	verifier, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open(read(t, directory, "checkpoint"), note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		t.Fatalf("a checkpoint has three lines, this one: %q", opened.Text)
	}
	if lines[0] != verifier.Name() {
		t.Fatalf("origin %q, key of %q", lines[0], verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: root}
}

// tiles serves tiles of an export to tlog, which checks each against the root.
type tiles struct {
	directory string
	spoil     tlog.Tile // this tile has its first bit flipped
	read      int
}

func (tiles *tiles) Height() int { return tileHeight }

// C2SP tlog-tiles: the height is fixed and not in the path.
func (tiles *tiles) path(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tile.H))
	return filepath.Join(tiles.directory, "tile", path)
}

func (tiles *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		content, err := os.ReadFile(tiles.path(tile))
		if err != nil {
			return nil, err
		}
		tiles.read++
		if tile == tiles.spoil {
			content[0] ^= 1
		}
		all = append(all, content)
	}
	return all, nil
}

func (tiles *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// records returns the leaves of all bundles, in order.
func records(t *testing.T, directory string, size int64) [][]byte {
	t.Helper()
	var leaves [][]byte
	for index := int64(0); index*256 < size; index++ {
		width := min(size-index*256, 256)
		name := fmt.Sprintf("%03d", index)
		if width < 256 {
			name = fmt.Sprintf("%03d.p/%d", index, width)
		}
		bundle := read(t, directory, "tile", "entries", name)
		for count := int64(0); count < width; count++ {
			length := int(binary.BigEndian.Uint16(bundle))
			leaves, bundle = append(leaves, bundle[2:2+length]), bundle[2+length:]
		}
		if len(bundle) != 0 {
			t.Fatalf("bundle %d holds more than %d leaves", index, width)
		}
	}
	return leaves
}

func TestTheTilesHashToTheRootOfTheCheckpoint(t *testing.T) {
	directory := export(t)
	tree := checkpoint(t, directory)
	if tree.N <= 512 {
		t.Fatalf("%d entries are too few to have several full tiles", tree.N)
	}
	served := &tiles{directory: directory}
	root, err := tlog.TreeHash(tree.N, tlog.TileHashReader(tree, served))
	if err != nil {
		t.Fatal(err)
	}
	if root != tree.Hash || served.read == 0 {
		t.Fatalf("root %v from %d tiles, checkpoint %v", root, served.read, tree.Hash)
	}
}

func TestTheLeavesOfTheBundlesAreThoseOfTheTiles(t *testing.T) {
	directory := export(t)
	tree := checkpoint(t, directory)
	reader := tlog.TileHashReader(tree, &tiles{directory: directory})
	leaves := records(t, directory, tree.N)
	if int64(len(leaves)) != tree.N {
		t.Fatalf("%d leaves, size %d", len(leaves), tree.N)
	}
	for position, leaf := range leaves {
		if len(leaf) != 106 || leaf[0] != 1 {
			t.Fatalf("leaf %d is not of format 1: %x", position, leaf)
		}
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(position))})
		if err != nil {
			t.Fatal(err)
		}
		if hashes[0] != tlog.RecordHash(leaf) {
			t.Fatalf("leaf %d is not the one in the tile", position)
		}
	}
}

func TestOneRecordIsProvedAndAnotherIsNot(t *testing.T) {
	directory := export(t)
	tree := checkpoint(t, directory)
	reader := tlog.TileHashReader(tree, &tiles{directory: directory})
	leaf := records(t, directory, tree.N)[300]
	proof, err := tlog.ProveRecord(tree.N, 300, reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, 300, tlog.RecordHash(leaf)); err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(leaf)
	other[20] ^= 1
	if tlog.CheckRecord(proof, tree.N, tree.Hash, 300, tlog.RecordHash(other)) == nil {
		t.Fatal("a changed leaf was proved")
	}
}

// What the doors give as the proof of one denial, without what else they say of it.
type proof struct {
	Position   int64
	Leaf       []byte
	Path       [][]byte
	TreeSize   int64
	Checkpoint string
}

func TestAProofOfTheDoorsIsBelievedAndNoOther(t *testing.T) {
	directory := export(t)
	tree := checkpoint(t, directory)
	names, err := os.ReadDir(filepath.Join(directory, "proof"))
	if err != nil || len(names) == 0 {
		t.Fatal("there is no proof to read", err)
	}
	for _, name := range names {
		var given proof
		if err := json.Unmarshal(read(t, directory, "proof", name.Name()), &given); err != nil {
			t.Fatal(err)
		}
		if given.TreeSize != tree.N || given.Checkpoint != string(read(t, directory, "checkpoint")) {
			t.Fatalf("the proof is of another tree: %v", given)
		}
		var path tlog.RecordProof
		for _, hash := range given.Path {
			path = append(path, tlog.Hash(hash))
		}
		check := func(position int64, leaf []byte) error {
			return tlog.CheckRecord(path, tree.N, tree.Hash, position, tlog.RecordHash(leaf))
		}
		if err := check(given.Position, given.Leaf); err != nil {
			t.Fatal(err)
		}
		other := bytes.Clone(given.Leaf)
		other[20] ^= 1
		if check(given.Position, other) == nil || check(given.Position^1, given.Leaf) == nil {
			t.Fatal("another leaf, or another place, was proved")
		}
	}
}

func TestATamperedTileIsRefused(t *testing.T) {
	directory := export(t)
	tree := checkpoint(t, directory)
	for _, spoilt := range []tlog.Tile{
		{H: tileHeight, L: 0, N: 1, W: 256},
		{H: tileHeight, L: 0, N: tree.N / 256, W: int(tree.N % 256)},
		{H: tileHeight, L: 1, N: 0, W: int(tree.N / 256)},
	} {
		reader := tlog.TileHashReader(tree, &tiles{directory: directory, spoil: spoilt})
		position := min(spoilt.N*256<<(8*spoilt.L), tree.N-1)
		index := []int64{tlog.StoredHashIndex(0, position)}
		if _, err := reader.ReadHashes(index); err == nil {
			t.Fatalf("%v was taken although a bit of it is flipped", spoilt)
		}
	}
}

func TestAnAlteredCheckpointIsRefused(t *testing.T) {
	directory := export(t)
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read(t, directory, "verifier-key"))))
	if err != nil {
		t.Fatal(err)
	}
	original := read(t, directory, "checkpoint")
	size := []byte(strconv.FormatInt(checkpoint(t, directory).N, 10))
	altered := bytes.Replace(original, size, []byte("1"+string(size)), 1)
	if _, err := note.Open(altered, note.VerifierList(verifier)); err == nil {
		t.Fatal("a checkpoint of another size was believed")
	}
}
