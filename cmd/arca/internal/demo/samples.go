package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// sample is one recording of the bundled set.
type sample struct {
	File     string  `json:"file"`
	Codec    string  `json:"codec"`
	Duration float64 `json:"duration_s"`
	SHA256   string  `json:"sha256"`
	Language string  `json:"language"`

	path    string
	content []byte
}

// readSamples reads the manifest and holds every file against it.
func readSamples(dir string) ([]sample, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, fmt.Errorf("the sample recordings are not where --samples says: %w", err)
	}
	var manifest struct {
		Items []sample `json:"items"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return nil, err
	}
	for i := range manifest.Items {
		it := &manifest.Items[i]
		it.path = filepath.Join(dir, it.File)
		if it.content, err = os.ReadFile(it.path); err != nil {
			return nil, err
		}
		if sum := sha256.Sum256(it.content); hex.EncodeToString(sum[:]) != it.SHA256 {
			return nil, fmt.Errorf("the sample %s is not the one of the manifest", it.File)
		}
	}
	return manifest.Items, nil
}

// sample finds a file of the set.
func (s *story) sample(file string) sample {
	for _, it := range s.samples {
		if it.File == file {
			return it
		}
	}
	return sample{File: file, path: filepath.Join(s.o.Samples, file)}
}

func hashFile(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
