package event

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
)

// A stored chunk is an s2 stream of blocks: type, number of records, bytes, the records, the bytes; a block of type ""
// ends it. Integers are little-endian.
const (
	recordSize = 10*4 + 2*8
	maxBlock   = 64 << 20
)

// Writer stores the blocks of one chunk.
type Writer struct {
	w   *s2.Writer
	buf []byte
}

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: s2.NewWriter(w, s2.WriterConcurrency(1))}
}

// Write stores the records of c, all of one type. Addresses are stored apart.
func (w *Writer) Write(typ string, c *Chunk) error {
	le := binary.LittleEndian
	b := append(w.buf[:0], byte(len(typ)))
	b = append(b, typ...)
	b = le.AppendUint32(b, uint32(len(c.Records)))
	b = le.AppendUint32(b, uint32(len(c.Buf)))
	for i := range c.Records {
		r := &c.Records[i]
		for _, v := range [...]int32{r.Start, r.End, r.ID[0], r.ID[1], r.Length, r.Object, r.Source.Mark, r.Source.Addr, r.Destination.Mark, r.Destination.Addr} {
			b = le.AppendUint32(b, uint32(v))
		}
		b = le.AppendUint64(b, uint64(r.Time))
		b = le.AppendUint64(b, uint64(r.Offset))
	}
	w.buf = b
	if _, err := w.w.Write(b); err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	if _, err := w.w.Write(c.Buf); err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	return nil
}

// Close ends the chunk; without it a reader finds the chunk incomplete.
func (w *Writer) Close() error {
	if _, err := w.w.Write([]byte{0}); err != nil {
		return fmt.Errorf("end chunk: %w", err)
	}
	return w.w.Close()
}

var errCorrupt = errors.New("chunk is corrupt or incomplete")

// ReadChunk gives the blocks of a stored chunk to f in order; c is only valid during the call and has no addresses.
func ReadChunk(r io.Reader, f func(typ string, c *Chunk) error) error {
	br := bufio.NewReaderSize(s2.NewReader(r), 64<<10)
	var c Chunk
	var head []byte
	for {
		n, err := br.ReadByte()
		if err != nil {
			return fmt.Errorf("%w: %w", errCorrupt, err)
		}
		if n == 0 {
			return nil
		}
		head = grow(head, int(n)+8)
		if _, err := io.ReadFull(br, head); err != nil {
			return fmt.Errorf("%w: %w", errCorrupt, err)
		}
		typ := string(head[:n])
		records, size := binary.LittleEndian.Uint32(head[n:]), binary.LittleEndian.Uint32(head[n+4:])
		if records > maxBlock/recordSize || size > maxBlock {
			return errCorrupt
		}
		head = grow(head, int(records)*recordSize)
		if _, err := io.ReadFull(br, head); err != nil {
			return fmt.Errorf("%w: %w", errCorrupt, err)
		}
		if err := c.records(head, int(records), int32(size)); err != nil {
			return err
		}
		c.Buf = grow(c.Buf, int(size))
		if _, err := io.ReadFull(br, c.Buf); err != nil {
			return fmt.Errorf("%w: %w", errCorrupt, err)
		}
		if err := f(typ, &c); err != nil {
			return err
		}
	}
}

func (c *Chunk) records(b []byte, n int, size int32) error {
	if cap(c.Records) < n {
		c.Records = make([]Record, n)
	}
	c.Records = c.Records[:n]
	for i := range c.Records {
		p := b[i*recordSize:]
		at := func(j int) int32 { return int32(binary.LittleEndian.Uint32(p[4*j:])) }
		r := &c.Records[i]
		*r = Record{Start: at(0), End: at(1), ID: [2]int32{at(2), at(3)}, Length: at(4), Object: at(5), Source: Side{at(6), at(7)}, Destination: Side{at(8), at(9)},
			Time: int64(binary.LittleEndian.Uint64(p[40:])), Offset: int64(binary.LittleEndian.Uint64(p[48:]))}
		doc := r.End - r.Start
		if r.Start < 0 || doc < 2 || r.End > r.ID[0] || r.ID[0] > r.ID[1] || r.ID[1] > size || !r.Source.within(doc) || !r.Destination.within(doc) {
			return errCorrupt
		}
	}
	return nil
}

func (s Side) within(doc int32) bool { return s.Mark >= 0 && s.Mark < doc }

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
