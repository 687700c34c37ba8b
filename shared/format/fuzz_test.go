package format_test

import (
	"bytes"
	"slices"
	"testing"
	"testing/iotest"
)

// FuzzRead: whatever an object holds, the ledger closes, documents are JSON (read checks both), and it comes out the
// same when it comes in byte by byte.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"", text(flow, auth), records(2), trail(1)[:90], payload("DATA_MESSAGE", auth, flow, trail(1)), awslogs(payload("DATA_MESSAGE", auth)),
		`{"message":"` + flow + `"}`, "\ufeff" + text(flow), "[1,[2]]" + trail(3), text("bomb panic", "bomb fail", "bomb 1"), `{"Records":[1,{}]}`, "{\n{\n{\n" + trail(4),
		string(packed(text(auth))), string(packed(records(3))[:100]), "PAR1PAR1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		opt := options()
		opt.MaxInflated, opt.MaxRecord = 1<<20, 1<<12
		one := read(t, opt, "x", bytes.NewReader(body))
		two := read(t, opt, "x", iotest.OneByteReader(bytes.NewReader(body)))
		if one.summary() != two.summary() || one.Failed != two.Failed || !slices.Equal(one.docs, two.docs) || !slices.Equal(one.ids, two.ids) || len(one.rejects) != len(two.rejects) {
			t.Errorf("%s %s\nbyte by byte: %s %s", one.summary(), one.reasons(), two.summary(), two.reasons())
		}
	})
}
