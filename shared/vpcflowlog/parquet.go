package vpcflowlog

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	pq "github.com/parquet-go/parquet-go/format"
)

// Limits of a Parquet file, far above what AWS writes; they bound the memory that reading takes.
const (
	maxFooter     = 1 << 20
	maxPageHeader = 128 << 10
	maxPage       = 4 << 20 // bytes of a page, packed or not
	maxPageValues = 1 << 20
	rowBatch      = 128
)

// Magic is what a Parquet file starts with.
func (*Format) Magic() []byte { return []byte("PAR1") }

// Rows is ReadParquet; it makes Format a format.Table.
func (*Format) Rows(r io.ReaderAt, size int64) (header []byte, rows iter.Seq2[[]byte, error], err error) {
	return ReadParquet(r, size)
}

// ReadParquet turns a flow log delivered as Parquet into the lines that text delivery would have: header names the
// columns, and rows yields the others, absent values as "-". A line is valid until the next. The first error ends rows;
// the lines before it are good. Memory is bounded by the pages at hand, one a column; a hostile file ends in an error.
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html
func ReadParquet(r io.ReaderAt, size int64) (header []byte, rows iter.Seq2[[]byte, error], err error) {
	defer recovered(&err)
	if err := checkFooter(r, size); err != nil {
		return nil, nil, fmt.Errorf("read parquet footer: %w", err)
	}
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, nil, fmt.Errorf("open parquet: %w", err)
	}
	columns := f.Root().Columns()
	if len(columns) == 0 || len(columns) > maxFields {
		return nil, nil, fmt.Errorf("open parquet: %d columns", len(columns))
	}
	for _, c := range columns {
		if !c.Leaf() || c.Repeated() {
			return nil, nil, fmt.Errorf("open parquet: column %.64q is nested", c.Name())
		}
		header = append(append(header, c.Name()...), ' ')
	}
	return header[:len(header)-1], lines(r, f), nil
}

// recovered turns a panic of the library into an error.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("read parquet: %v", v)
	}
}

func checkFooter(r io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < 12 {
		return io.ErrUnexpectedEOF
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil && err != io.EOF {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > maxFooter || n > size-12 {
		return fmt.Errorf("%d bytes in an object of %d", n, size)
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-8-n); err != nil {
		return err
	}
	_, err := measure(footer)
	return err
}

// lines yields the rows of every row group in turn.
func lines(r io.ReaderAt, f *parquet.File) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var line []byte
		for i, group := range f.RowGroups() {
			err := checkGroup(r, f, i)
			if err != nil {
				yield(nil, fmt.Errorf("read parquet row group %d: %w", i, err))
				return
			}
			rows, batch := parquet.Rows(nil), make([]parquet.Row, rowBatch)
			next := func() (n int, err error) {
				defer recovered(&err)
				if rows == nil {
					rows = group.Rows()
				}
				return rows.ReadRows(batch)
			}
			for err == nil {
				var n int
				n, err = next()
				for _, row := range batch[:n] {
					var bad error
					if line, bad = appendRow(line[:0], row); !yield(line, bad) || bad != nil {
						_ = rows.Close()
						return
					}
				}
			}
			if rows != nil {
				_ = rows.Close()
			}
			if err != io.EOF {
				yield(nil, fmt.Errorf("read parquet row group %d: %w", i, err))
				return
			}
		}
	}
}

// appendRow writes a row as a line of text delivery.
func appendRow(line []byte, row parquet.Row) ([]byte, error) {
	for i, v := range row {
		if i > 0 {
			line = append(line, ' ')
		}
		switch {
		case v.IsNull():
			line = append(line, '-')
		case v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray:
			switch text := v.ByteArray(); {
			case len(text) == 0:
				line = append(line, '-')
			case len(text) > maxLine:
				return nil, fmt.Errorf("read parquet column %d: a text of %d bytes", v.Column(), len(text))
			default:
				line = append(line, text...)
			}
		default:
			line = fmt.Append(line, v)
		}
	}
	return line, nil
}

// checkGroup goes over the pages of a row group before the library does: it would believe every size and count.
func checkGroup(r io.ReaderAt, f *parquet.File, group int) error {
	for i := range f.Metadata().RowGroups[group].Columns {
		m := &f.Metadata().RowGroups[group].Columns[i].MetaData
		from := m.DataPageOffset
		if m.DictionaryPageOffset != 0 {
			from = m.DictionaryPageOffset
		}
		if from < 0 || m.TotalCompressedSize < 0 || m.TotalCompressedSize > f.Size()-from {
			return fmt.Errorf("column %d lies outside the object", i)
		}
		for to := from + m.TotalCompressedSize; from < to; {
			n, err := checkPage(io.NewSectionReader(r, from, to-from), m.Codec)
			if err != nil {
				return fmt.Errorf("column %d at %d: %w", i, from, err)
			}
			from += n
		}
	}
	return nil
}

//lint:ignore SA1019 files have the deprecated encoding
var encodings = []pq.Encoding{pq.Plain, pq.PlainDictionary, pq.RLE, pq.BitPacked, pq.RLEDictionary, pq.DeltaBinaryPacked,
	pq.DeltaLengthByteArray}

// checkPage returns the length of the page at the start of r, header included.
func checkPage(r *io.SectionReader, codec pq.CompressionCodec) (int64, error) {
	head := make([]byte, min(maxPageHeader, r.Size()))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return 0, err
	}
	length, err := measure(head)
	if err != nil {
		return 0, err
	}
	var h pq.PageHeader
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), head[:length], &h); err != nil {
		return 0, err
	}
	encoding := h.DataPageHeader.V.Encoding
	switch h.Type {
	case pq.DataPageV2:
		encoding = h.DataPageHeaderV2.V.Encoding
	case pq.DictionaryPage:
		encoding = h.DictionaryPageHeader.V.Encoding
	}
	values := max(h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues, h.DictionaryPageHeader.V.NumValues)
	levels := int64(h.DataPageHeaderV2.V.DefinitionLevelsByteLength) + int64(h.DataPageHeaderV2.V.RepetitionLevelsByteLength)
	packed := int64(h.CompressedPageSize)
	switch {
	case packed < 0 || packed > maxPage || h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPage:
		return 0, fmt.Errorf("a page of %d bytes, %d unpacked", packed, h.UncompressedPageSize)
	case values > maxPageValues:
		return 0, fmt.Errorf("a page of %d values", values)
	case !slices.Contains(encodings, encoding):
		return 0, fmt.Errorf("encoding %v is not read", encoding)
	case levels < 0 || levels > packed:
		return 0, fmt.Errorf("levels of %d bytes in a page of %d", levels, packed)
	}
	body := io.NewSectionReader(r, int64(length)+levels, packed-levels)
	if h.Type == pq.DataPageV2 && h.DataPageHeaderV2.V.IsCompressed.Valid && !h.DataPageHeaderV2.V.IsCompressed.V {
		codec = pq.Uncompressed
	}
	return int64(length) + packed, checkSize(body, codec)
}

// checkSize refuses a page body that unpacks to more than maxPage bytes.
func checkSize(body *io.SectionReader, codec pq.CompressionCodec) error {
	size := int64(0)
	switch codec {
	case pq.Uncompressed:
	case pq.Snappy:
		var head [binary.MaxVarintLen64]byte
		n, err := body.ReadAt(head[:], 0)
		if err != nil && err != io.EOF {
			return err
		}
		unpacked, err := snappy.DecodedLen(head[:n])
		if err != nil {
			return err
		}
		size = int64(unpacked)
	case pq.Gzip:
		z, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		if size, err = io.Copy(io.Discard, io.LimitReader(z, maxPage+1)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("codec %v is not read", codec)
	}
	if size > maxPage {
		return fmt.Errorf("a page of more than %d bytes unpacked", maxPage)
	}
	return nil
}
