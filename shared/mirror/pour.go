package mirror

import (
	"io"
	"os"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/direct"
)

const (
	pourSize    = 2 << 20 // what is read at a time: a huge page
	pourBuffers = 4       // one being filled, one being hashed, one being written, one in between
)

// pourer pours packs into files, one after another, through the same buffers. Not safe for concurrent use.
type pourer struct{ buffers [][]byte }

func newPourer() *pourer {
	p := &pourer{}
	for range pourBuffers {
		p.buffers = append(p.buffers, direct.Buffer(pourSize))
	}
	return p
}

// close gives the buffers back.
func (p *pourer) close() {
	for _, b := range p.buffers {
		direct.Free(b)
	}
}

// piece is what was read, and why it is the last.
type piece struct {
	b   []byte
	err error
}

// pour reads body to its end. Reading, hashing and writing happen at the same time, each in its own goroutine: hashing
// takes longest, and so little else is waited for. No goroutine outlives the call.
func (p *pourer) pour(f *os.File, size int64, digest *seal.Digest, body io.Reader, progress func(int64)) error {
	free := make(chan []byte, pourBuffers) // has room for every buffer there is
	for _, b := range p.buffers {
		free <- b
	}
	stop, pieces, writes := make(chan struct{}), make(chan piece), make(chan []byte)
	written := make(chan error, 1)
	go readPieces(body, pieces, free, stop)
	go func() { written <- writePieces(direct.NewWriter(f, size), writes, free) }()
	err := hashPieces(digest, pieces, writes, progress)
	close(stop)
	close(writes)
	for range pieces { // until the reader has seen it
	}
	if failure := <-written; failure != nil {
		return failed(failure, "store a pack")
	}
	return err
}

// hashPieces passes on what it has hashed, to the end or to what broke it off.
func hashPieces(digest *seal.Digest, pieces <-chan piece, writes chan<- []byte, progress func(int64)) error {
	for p := range pieces {
		digest.Write(p.b)
		writes <- p.b
		progress(digest.Length())
		switch p.err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil // whether it is all of the pack, its digests tell
		default:
			return problem.Wrap(problem.Unavailable, p.err, "a pack's transfer broke off; run again, what was fetched stays")
		}
	}
	return nil
}

// writePieces writes until there is no more. After a failure it only gives the buffers back.
func writePieces(w io.Writer, writes <-chan []byte, free chan<- []byte) (err error) {
	for b := range writes {
		if err == nil {
			_, err = w.Write(b)
		}
		free <- b[:cap(b)]
	}
	return err
}

// readPieces reads until an error, of which the end is one, or stop.
func readPieces(body io.Reader, pieces chan<- piece, free <-chan []byte, stop <-chan struct{}) {
	defer close(pieces)
	for {
		select {
		case <-stop:
			return
		case buf := <-free:
			n, err := io.ReadFull(body, buf)
			select {
			case pieces <- piece{buf[:n], err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		}
	}
}
