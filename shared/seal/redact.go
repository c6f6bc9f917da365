package seal

import (
	"errors"
	"fmt"
	"log/slog"
)

// errNoText keeps secrets out of JSON and every other encoding that asks for text.
var errNoText = errors.New("seal: a secret has no text form; store its bytes explicitly")

// veil is what a secret looks like in every verb, log and debugger print. Types
// that contain secrets in unexported fields need it too: fmt prints those by
// reflection without calling their methods.
func veil(s fmt.State, what string) { fmt.Fprintf(s, "[%s]", what) }

func (BatchSecret) Format(s fmt.State, _ rune)     { veil(s, "batch secret") }
func (BatchSecret) String() string                 { return "[batch secret]" }
func (BatchSecret) GoString() string               { return "[batch secret]" }
func (BatchSecret) LogValue() slog.Value           { return slog.StringValue("[batch secret]") }
func (BatchSecret) MarshalText() ([]byte, error)   { return nil, errNoText }
func (Half) Format(s fmt.State, _ rune)            { veil(s, "half") }
func (Half) String() string                        { return "[half]" }
func (Half) GoString() string                      { return "[half]" }
func (Half) LogValue() slog.Value                  { return slog.StringValue("[half]") }
func (Half) MarshalText() ([]byte, error)          { return nil, errNoText }
func (RecordingKey) Format(s fmt.State, _ rune)    { veil(s, "recording key") }
func (RecordingKey) String() string                { return "[recording key]" }
func (RecordingKey) GoString() string              { return "[recording key]" }
func (RecordingKey) LogValue() slog.Value          { return slog.StringValue("[recording key]") }
func (RecordingKey) MarshalText() ([]byte, error)  { return nil, errNoText }
func (DescriptorKey) Format(s fmt.State, _ rune)   { veil(s, "descriptor key") }
func (DescriptorKey) String() string               { return "[descriptor key]" }
func (DescriptorKey) GoString() string             { return "[descriptor key]" }
func (DescriptorKey) LogValue() slog.Value         { return slog.StringValue("[descriptor key]") }
func (DescriptorKey) MarshalText() ([]byte, error) { return nil, errNoText }
func (Seed) Format(s fmt.State, _ rune)            { veil(s, "seed") }
func (Seed) String() string                        { return "[seed]" }
func (Seed) GoString() string                      { return "[seed]" }
func (Seed) LogValue() slog.Value                  { return slog.StringValue("[seed]") }
func (Seed) MarshalText() ([]byte, error)          { return nil, errNoText }

func (*Batch) Format(s fmt.State, _ rune)     { veil(s, "batch") }
func (*Batch) String() string                 { return "[batch]" }
func (*Batch) GoString() string               { return "[batch]" }
func (*Batch) LogValue() slog.Value           { return slog.StringValue("[batch]") }
func (*Recording) Format(s fmt.State, _ rune) { veil(s, "recording") }
func (*Recording) String() string             { return "[recording]" }
func (*Recording) GoString() string           { return "[recording]" }
func (*Recording) LogValue() slog.Value       { return slog.StringValue("[recording]") }
func (*Signed) Format(s fmt.State, _ rune)    { veil(s, "signed batch") }
func (*Signed) String() string                { return "[signed batch]" }
func (*Signed) GoString() string              { return "[signed batch]" }
func (*Signed) LogValue() slog.Value          { return slog.StringValue("[signed batch]") }
func (*Encryptor) Format(s fmt.State, _ rune) { veil(s, "encryptor") }
func (*Encryptor) String() string             { return "[encryptor]" }
func (*Encryptor) GoString() string           { return "[encryptor]" }
func (*Encryptor) LogValue() slog.Value       { return slog.StringValue("[encryptor]") }
func (*Decryptor) Format(s fmt.State, _ rune) { veil(s, "decryptor") }
func (*Decryptor) String() string             { return "[decryptor]" }
func (*Decryptor) GoString() string           { return "[decryptor]" }
func (*Decryptor) LogValue() slog.Value       { return slog.StringValue("[decryptor]") }
func (*Content) Format(s fmt.State, _ rune)   { veil(s, "content") }
func (*Content) String() string               { return "[content]" }
func (*Content) GoString() string             { return "[content]" }
func (*Content) LogValue() slog.Value         { return slog.StringValue("[content]") }
