package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/record"
)

const (
	items  = 10_000
	rounds = 3 // Arca and restic in turns
)

// source is the folder of items that Arca and its peers take in.
type source struct {
	folder string
	paths  []string
	sizes  []int64
	plain  int64
}

// makeItems writes 10,000 files of 8 to 60 KB that no compressor shortens, as speech coders' output is.
func (r *run) makeItems() (*source, error) {
	s := &source{folder: filepath.Join(r.folder, "items")}
	if err := os.Mkdir(s.folder, 0o700); err != nil {
		return nil, err
	}
	for i := range items {
		n := 8_000 + i*7919%52_000
		content := make([]byte, n)
		rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), 7}).Read(content)
		path := filepath.Join(s.folder, fmt.Sprintf("%05d", i))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, err
		}
		s.paths, s.sizes, s.plain = append(s.paths, path), append(s.sizes, int64(n)), s.plain+int64(n)
	}
	return s, nil
}

// packs compares storing 10,000 items with peers that store the same folder.
func (r *run) packs() error {
	src, err := r.makeItems()
	if err != nil {
		return err
	}
	defer os.RemoveAll(src.folder)
	if err := r.packsLocal(src); err != nil {
		return err
	}
	if err := r.packsS3(src); err != nil {
		return err
	}
	return r.otherPeers(src)
}

// packsLocal: the embedded default against restic's local repository.
func (r *run) packsLocal(src *source) error {
	var peer, one, many []outcome
	for round := range rounds {
		folder := filepath.Join(r.folder, "restic")
		p, err := r.restic(src, folder, nil)
		if err != nil {
			return err
		}
		if p.took > 0 {
			if p.stored, err = stored(folder); err != nil {
				return err
			}
			peer = append(peer, p)
		}
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
		for _, orders := range []int{1, 500} {
			o, err := r.arcaPacks(src, fmt.Sprintf("packs-%d-%d", orders, round), orders, nil)
			if err != nil {
				return err
			}
			if orders == 1 {
				one = append(one, o)
			} else {
				many = append(many, o)
			}
		}
	}
	r.compare("embedded default", src, one, many, peer, 1.6)
	r.table.add(line{what: "stored per plain byte, 1 order, folder of packs", measured: fmt.Sprintf("%.3f", one[0].per(src)), reference: perOf("restic", src, peer),
		target: "≤ 1.10", met: one[0].per(src) <= 1.10})
	r.table.add(line{what: "stored per plain byte, 500 orders", measured: fmt.Sprintf("%.3f", many[0].per(src))})
	return nil
}

// packsS3: both through the same S3-API server.
func (r *run) packsS3(src *source) error {
	var peer, one, many []outcome
	for round := range rounds {
		for _, who := range []string{"restic", "1", "500"} {
			o, ok, err := r.throughS3(src, who, round)
			if err != nil {
				return err
			}
			switch {
			case !ok:
				return nil // its absence was said
			case who == "restic":
				if o.took > 0 {
					peer = append(peer, o)
				}
			case who == "1":
				one = append(one, o)
			default:
				many = append(many, o)
			}
		}
	}
	r.compare("S3-API server", src, one, many, peer, 2)
	return nil
}

func (r *run) throughS3(src *source, who string, round int) (o outcome, ok bool, err error) {
	server, err := r.startS3(fmt.Sprintf("s3-%s-%d", who, round))
	if err != nil || server == nil {
		return o, false, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if who == "restic" {
		o, err = r.restic(src, "s3:"+server.endpoint+"/"+server.bucket, server.env())
		return o, true, err
	}
	orders := map[string]int{"1": 1, "500": 500}[who]
	o, err = r.arcaPacks(src, fmt.Sprintf("packs-s3-%s-%d", who, round), orders, server.objects())
	return o, true, err
}

// outcome is one timed run.
type outcome struct {
	took   time.Duration
	seal   time.Duration // of it, until everything was durable in the spool
	stored int64
	used   time.Duration // processor time of Arca's process, all parties in it
}

func (o outcome) per(src *source) float64 { return float64(o.stored) / float64(src.plain) }

func perOf(name string, src *source, list []outcome) string {
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf("%s %.3f", name, list[0].per(src))
}

func rates(src *source, list []outcome, part func(outcome) time.Duration) []float64 {
	var all []float64
	for _, o := range list {
		all = append(all, rateOf(src.plain, part(o)))
	}
	return all
}

func whole(o outcome) time.Duration { return o.took }

// compare prints Arca beside restic. Without restic there is nothing to hold it against.
func (r *run) compare(where string, src *source, one, many, peer []outcome, target float64) {
	for _, of := range []struct {
		orders string
		list   []outcome
	}{{"1 order", one}, {"500 orders", many}} {
		what := fmt.Sprintf("10,000 items to proven packs, %s, %s", where, of.orders)
		rate := median(rates(src, of.list, whole))
		if len(peer) == 0 {
			r.table.beside(what, rate)
		} else {
			r.table.atLeast(what, rate, "restic backup", median(rates(src, peer, whole)), target)
		}
		spool := median(rates(src, of.list, func(o outcome) time.Duration { return o.seal }))
		used := median(rates(src, of.list, func(o outcome) time.Duration { return o.used }))
		r.table.beside("  collector and all parties, per second of processor time", used)
		r.table.beside("  all safe in the spool, and some sent, at", spool)
	}
}

// arcaPacks seals all items and sends them, until every pack is proven: at the vault, in the log under a witnessed checkpoint, and
// both keyholders' receipts verified.
func (r *run) arcaPacks(src *source, name string, orders int, objects installation.Objects) (o outcome, err error) {
	w, err := r.newWorld(name, objects)
	if w != nil {
		defer func() { err = errors.Join(err, w.close()) }()
	}
	if err != nil {
		return o, err
	}
	var chains []record.Digest
	for i := range orders {
		chain, err := w.admit(i)
		if err != nil {
			return o, err
		}
		chains = append(chains, chain)
	}
	start := callStart()
	if err := w.settle(chains, start); err != nil {
		return o, err
	}
	began, before := time.Now(), spent()
	c, err := w.collector()
	if err != nil {
		return o, err
	}
	defer c.Close()
	var list []collector.Item
	for i, path := range src.paths {
		list = append(list, item(chains[i%orders], path, src.sizes[i], start))
	}
	if err := firstError(c.SealAndSend(r.ctx, list, nil)); err != nil {
		return o, err
	}
	o.seal = time.Since(began)
	if err := c.Flush(r.ctx); err != nil {
		return o, err
	}
	o.took, o.used = time.Since(began), spent()-before
	left, err := c.List(r.ctx)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%d packs are not proven", len(left))
	}
	if err == nil && objects == nil {
		o.stored, err = stored(w.Dir("vault", "objects"))
	}
	return o, err
}
