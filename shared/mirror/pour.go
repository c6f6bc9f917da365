package mirror

import (
	"io"
	"os"
	"sync"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
)

// pourSize is how much is read at a time; two buffers of it are on their way at once.
const pourSize = 1 << 20

// pour reads body to its end. One goroutine reads the next piece while this one hashes and writes the last: hashing is
// what takes longest, and so it is the only thing that does.
func pour(f *os.File, digest *seal.Digest, body io.Reader, progress func(int64)) error {
	type piece struct {
		b   []byte
		err error
	}
	pieces, free, stop := make(chan piece), make(chan []byte, 2), make(chan struct{})
	free <- make([]byte, pourSize)
	free <- make([]byte, pourSize)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(pieces)
		for buf := range free {
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
	})
	defer reading.Wait()
	defer close(free)
	defer close(stop)
	for p := range pieces {
		digest.Write(p.b)
		if _, err := f.Write(p.b); err != nil {
			return failed(err, "store a pack")
		}
		progress(digest.Length())
		switch p.err {
		case nil:
			free <- p.b[:cap(p.b)]
		case io.EOF, io.ErrUnexpectedEOF:
			return nil // whether it is all of the pack, its digests tell
		default:
			return problem.Wrap(problem.Unavailable, p.err, "a pack's transfer broke off; run again, what was fetched stays")
		}
	}
	return nil
}
