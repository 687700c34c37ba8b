package vpcflowlog

import (
	"bytes"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

// flowRow has the Hive-compatible names and the types of AWS's Parquet files; every column is optional there.
type flowRow struct {
	Version     *int32  `parquet:"version"`
	AccountID   *string `parquet:"account_id,dict"`
	InterfaceID *string `parquet:"interface_id,dict"`
	SrcAddr     *string `parquet:"srcaddr"`
	DstAddr     *string `parquet:"dstaddr"`
	SrcPort     *int32  `parquet:"srcport"`
	DstPort     *int32  `parquet:"dstport"`
	Protocol    *int32  `parquet:"protocol"`
	Packets     *int64  `parquet:"packets"`
	Bytes       *int64  `parquet:"bytes"`
	Start       *int64  `parquet:"start"`
	End         *int64  `parquet:"end"`
	Action      *string `parquet:"action,dict"`
	LogStatus   *string `parquet:"log_status,dict"`
	TCPFlags    *int32  `parquet:"tcp_flags"`
}

func to[T any](v T) *T { return &v }

func flowRows(n int) []flowRow {
	rows := make([]flowRow, n)
	for i := range rows {
		rows[i] = flowRow{Version: to[int32](3), AccountID: to("123456789010"), InterfaceID: to("eni-1"), Start: to[int64](1418530010),
			End: to(int64(1418530010 + i%60)), LogStatus: to("NODATA")}
		if i%5 != 4 {
			rows[i].SrcAddr, rows[i].DstAddr, rows[i].Action, rows[i].LogStatus = to("9.9.9.9"), to("10.0.0.2"), to("ACCEPT"), to("OK")
			rows[i].SrcPort, rows[i].DstPort, rows[i].Protocol, rows[i].TCPFlags = to[int32](443), to(int32(1024+i%60000)), to[int32](6), to[int32](18)
			rows[i].Packets, rows[i].Bytes = to(int64(i)), to(int64(1)<<62)
		}
	}
	return rows
}

func packed(t testing.TB, rows []flowRow, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[flowRow](&b, append(options, parquet.MaxRowsPerRowGroup(700), parquet.PageBufferSize(4096))...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read returns header and lines as text, and the error that ended them.
func read(b []byte) (list []string, err error) {
	header, rows, err := ReadParquet(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	list = []string{string(header)}
	for line, err := range rows {
		if err != nil {
			return list, err
		}
		list = append(list, string(line))
	}
	return list, nil
}

func TestReadParquet(t *testing.T) {
	const n = 2000
	for name, codec := range map[string]compress.Codec{"plain": &parquet.Uncompressed, "gzip": &parquet.Gzip, "snappy": &parquet.Snappy} {
		for _, version := range []int{1, 2} {
			list, err := read(packed(t, flowRows(n), parquet.Compression(codec), parquet.DataPageVersion(version)))
			if err != nil || len(list) != n+1 {
				t.Fatalf("%s v%d: %d lines, %v", name, version, len(list), err)
			}
			if want := strings.ReplaceAll(v2, "-", "_") + " tcp_flags"; list[0] != want {
				t.Errorf("%s: header %q, want %q", name, list[0], want)
			}
			for i, want := range map[int]string{
				1:    "3 123456789010 eni-1 9.9.9.9 10.0.0.2 443 1024 6 0 4611686018427387904 1418530010 1418530010 ACCEPT OK 18",
				5:    "3 123456789010 eni-1 - - - - - - - 1418530010 1418530014 - NODATA -",
				1502: "3 123456789010 eni-1 9.9.9.9 10.0.0.2 443 2525 6 1501 4611686018427387904 1418530010 1418530011 ACCEPT OK 18",
			} {
				if list[i] != want {
					t.Errorf("%s v%d: row %d is %q, want %q", name, version, i, list[i], want)
				}
			}
			docs := parse(New(Config{}), list...)
			if docs[0] != "! not a record" {
				t.Errorf("header: %s", docs[0])
			}
			for _, doc := range docs[1:] {
				if m := decode(t, doc); get(m, "aws.vpcflow.version") == nil {
					t.Fatal(doc)
				}
			}
		}
	}
}

func TestReadParquetStops(t *testing.T) {
	b := packed(t, flowRows(1000))
	_, rows, err := ReadParquet(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	next, stop := iter.Pull2(rows)
	defer stop()
	if line, err, ok := next(); !ok || err != nil || len(line) == 0 {
		t.Fatal(string(line), err)
	}
}

func TestReadParquetRefuses(t *testing.T) {
	type nested struct {
		Tags []string `parquet:"tags"`
	}
	var b bytes.Buffer
	if err := parquet.Write(&b, []nested{{[]string{"a"}}}); err != nil {
		t.Fatal(err)
	}
	huge := []byte("PAR1\x19\xfc\xff\xff\xff\xff\x07\x00\x08\x00\x00\x00PAR1") // a list of 2^31-1 structs
	big := flowRows(1)
	big[0].AccountID = to(strings.Repeat("9", maxLine+1))
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":        {nil, "unexpected EOF"},
		"text":         {[]byte(strings.Repeat(v2+"\n", 3)), "bytes in an object"},
		"nested":       {b.Bytes(), "nested"},
		"hostile list": {huge, "malformed Thrift"},
		"codec":        {packed(t, flowRows(10), parquet.Compression(&parquet.Zstd)), "ZSTD is not read"},
		"long text":    {packed(t, big), "a text of"},
	} {
		if _, err := read(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestPageBomb(t *testing.T) {
	bomb, err := parquet.Gzip.Encode(nil, make([]byte, maxPage+1))
	if err != nil {
		t.Fatal(err)
	}
	body := io.NewSectionReader(bytes.NewReader(bomb), 0, int64(len(bomb)))
	if err := checkSize(body, parquet.Gzip.CompressionCodec()); err == nil {
		t.Error("a gzip page of more than maxPage is read")
	}
	bomb, _ = parquet.Snappy.Encode(nil, make([]byte, maxPage+1))
	body = io.NewSectionReader(bytes.NewReader(bomb), 0, int64(len(bomb)))
	if err := checkSize(body, parquet.Snappy.CompressionCodec()); err == nil {
		t.Error("a snappy page of more than maxPage is read")
	}
}

// TestReadParquetDamaged cuts and flips real files: what comes out before the error is a prefix-sized, parseable run of
// lines, and nothing panics or hangs.
func TestReadParquetDamaged(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	for _, codec := range []compress.Codec{&parquet.Gzip, &parquet.Snappy} {
		whole := packed(t, flowRows(900), parquet.Compression(codec))
		for range 150 {
			if list, err := read(whole[:rnd.IntN(len(whole))]); err == nil {
				t.Errorf("a truncated file of %d lines is read", len(list))
			}
			flipped := bytes.Clone(whole)
			for range 1 + rnd.IntN(3) {
				flipped[rnd.IntN(len(flipped))] ^= 1 << rnd.IntN(8)
			}
			list, err := read(flipped)
			if err == nil && len(list) > 2000 {
				t.Errorf("%d lines from 900 rows", len(list))
			}
			parse(New(Config{}), list...)
		}
	}
}
