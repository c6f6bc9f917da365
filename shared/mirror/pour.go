package mirror

import (
	"io"
	"os"
	"sync"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
)

// pourSize is how much is read at a time; three buffers of it are on their way at once.
const pourSize = 1 << 20

// piece is what was read, and why it is the last.
type piece struct {
	b   []byte
	err error
}

// pour reads body to its end. Reading, hashing and writing happen at the same time, each in its own goroutine: hashing
// takes longest, and so little else is waited for.
func pour(f *os.File, digest *seal.Digest, body io.Reader, progress func(int64)) error {
	pieces, free := make(chan piece, 1), make(chan []byte, 3)
	writes, written := make(chan []byte), make(chan error)
	stop := make(chan struct{})
	for range cap(free) {
		free <- make([]byte, pourSize)
	}
	var all sync.WaitGroup
	all.Go(func() { readPieces(body, pieces, free, stop) })
	all.Go(func() {
		for b := range writes {
			_, err := f.Write(b)
			written <- err
		}
	})
	defer all.Wait()
	defer close(stop)
	defer close(writes)
	for p := range pieces {
		writes <- p.b
		digest.Write(p.b)
		if err := <-written; err != nil {
			return failed(err, "store a pack")
		}
		progress(digest.Length())
		switch p.err {
		case nil:
			free <- p.b[:cap(p.b)] // has room for every buffer there is
		case io.EOF, io.ErrUnexpectedEOF:
			return nil // whether it is all of the pack, its digests tell
		default:
			return problem.Wrap(problem.Unavailable, p.err, "a pack's transfer broke off; run again, what was fetched stays")
		}
	}
	return nil
}

// readPieces reads until an error, of which the end is one, or stop.
func readPieces(body io.Reader, pieces chan<- piece, free <-chan []byte, stop <-chan struct{}) {
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
