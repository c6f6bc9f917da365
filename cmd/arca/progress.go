package main

import (
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// patience is how long work lasts before a bar is worth showing.
const patience = time.Second

// progress is a bar on standard error, shown only to a person and only when work lasts. Safe for concurrent use.
type progress struct {
	mu      sync.Mutex
	title   string
	to      io.Writer // nil: nobody is looking
	start   time.Time
	drawing *mpb.Progress
	bar     *mpb.Bar
}

func (a *app) progress(title string) *progress {
	p := &progress{title: title, start: time.Now()}
	if isTerminal(a.err) {
		p.to = a.err
	}
	return p
}

// at tells how much of how much is done, in bytes.
func (p *progress) at(done, total int64) {
	if p.to == nil || time.Since(p.start) < patience {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawing == nil {
		p.drawing = mpb.New(mpb.WithOutput(p.to), mpb.WithWidth(40))
		p.bar = p.drawing.AddBar(total,
			mpb.PrependDecorators(decor.Name(p.title+" ")),
			mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.Percentage(decor.WCSyncSpace)),
			mpb.BarRemoveOnComplete())
	}
	p.bar.SetTotal(total, false)
	p.bar.SetCurrent(done)
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Abort(true)
		p.drawing.Wait()
	}
}
