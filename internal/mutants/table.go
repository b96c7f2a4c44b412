package mutants

// mutant is one planted bug.
type mutant struct {
	name string
	file string // from the module's root
	old  string // occurs once in the file
	new  string
	// tests are the packages that must notice, from ./broker/.
	tests []string
}

var (
	inWAL    = []string{"wal"}
	inSeal   = []string{"../internal/seal"}
	inLog    = []string{"log"}
	inTxn    = []string{"txn"}
	inBroker = []string{""}
)

// table holds the planted bugs.
var table = []mutant{
	// Durability.
	{"log not synced", "broker/wal/commit.go", "if err := vfs.SyncData(l.active.f); err != nil {", "if err := error(nil); err != nil {", inBroker},
	{"name of a log file not synced", "broker/wal/files.go", "if err := vfs.SyncDir(fs, dir); err != nil {", "if err := error(nil); err != nil {", inBroker},
	{"segment not synced", "broker/log/archive.go", "err = vfs.Sync(a.log)", "err = nil", inBroker},
	{"names of segments not synced", "broker/log/archive.go", "if len(s.unsynced) == 0 {", "if true {", inBroker},
	{"compacted segment not synced", "broker/log/cleanwriter.go", "err = vfs.Sync(w.log)", "err = nil", inBroker},
	{"checkpoint not synced", "internal/vfs/vfs.go", "err = Sync(f)", "err = nil", inBroker},
	{"log file retired without a checkpoint", "broker/keeper.go", "if err := k.checkpoint(number); err != nil {", "if err := error(nil); err != nil {", inBroker},
	{"replaced segments removed before the checkpoint", "broker/keeper.go", "	if err := k.b.checkpoint(number, false); err != nil {\n		return err\n	}\n	if err", "	if err := k.b.store.RemoveReplaced(k.replaced); err != nil {\n		return err\n	}\n	if err := k.b.checkpoint(number, false); err != nil {\n		return err\n	}\n	if err", inBroker},
	{"log start not durable", "broker/keeper.go", "b.stage(c, &logStartSet{p.Topic, p.Partition.Partition, start})", "p.SetLogStart(start)", inBroker},

	// Recovery.
	{"log cut in the middle", "broker/wal/recover.go", "} else if ok {", "} else if false && ok {", inWAL},
	{"durable end not checked", "broker/wal/recover.go", "if l.sequence < root.Synced {", "if false {", inWAL},
	{"frames of a recycled file", "broker/wal/recover.go", "if !ok || h.file != s.number || h.sequence != s.expect", "if !ok || h.sequence != s.expect", inWAL},
	{"frames of an earlier incarnation", "broker/wal/recover.go", "|| h.sequence != s.expect || h.epoch < s.epoch {", "|| h.sequence != s.expect {", inWAL},
	{"epoch not bumped", "broker/recover.go", "next.Epoch = epoch + 1", "next.Epoch = epoch", inBroker},
	{"archived records replayed again", "broker/log/partition.go", "	if e.Next <= p.archived {\n		return nil\n	}\n", "", inBroker},
	{"lost records not noticed", "broker/log/partition.go", "if end != p.next {", "if false {", inLog},
	{"orphans of a compaction not removed", "broker/log/store.go", "err = s.removeStrayFiles(id, parts)", "err = s.removeStrayFiles(id, parts[:0])", inLog},
	{"copy of the checkpoint not written", "broker/wal/checkpoint.go", "[]string{CheckpointName, CheckpointCopyName}", "[]string{CheckpointName}", []string{"wal", ""}},
	{"checkpoint of an earlier incarnation than the log taken", "broker/wal/recover.go", "l.sequence, lastEpoch = s.expect, s.epoch", "l.sequence = s.expect", []string{"wal", ""}},
	{"copy taken without its log", "broker/wal/recover.go", "if root.FromCopy && len(live) == 0 {", "if false {", inWAL},
	{"copy taken without its segments", "broker/mend.go", "if err == nil && len(all) > 0 {", "if false {", inBroker},
	{"retired files removed before the copy stands", "broker/wal/recover.go", "l.retired = append(l.retired, number)", "l.retired = append(l.retired, number)\n			if err := l.RemoveRetired(); err != nil {\n				return nil, err\n			}", inWAL},
	{"damaged checkpoint thrown away", "broker/mend.go", "aside, err = b.setCheckpointAside(cp.Other())", "aside, err = cp.Other(), error(nil)", inBroker},
	{"segment that is gone gone on with", "broker/log/archive.go", "	if known > 0 {\n		sealed", "	if false {\n		sealed", inBroker},

	// Reads.
	{"frame's memory lent again while its records wait to be sent", "broker/log/read.go", "		w.Pinned(e.frame)\n", "		e.frame.Unpin()\n", inBroker},
	{"frame's memory lent again though records are kept", "broker/log/read.go", "		e.frame.Keep()\n", "", inBroker},
	{"index off by one", "broker/log/cache.go", "return place{h.index[i-1].position, h.index[i-1].base}", "return place{h.index[min(i, len(h.index)-1)].position, h.index[min(i, len(h.index)-1)].base}", inBroker},
	{"time index off by one", "broker/log/cache.go", "h.index[i].maxBefore >= ts", "h.index[i].maxBefore > ts+500", inBroker},
	{"checksum not checked", "broker/log/stored.go", "if !b.CRCValid() {", "if false {", []string{"log", ""}},
	{"guard not checked", "broker/log/stored.go", "case s.guarded && binary", "case false && binary", inLog},
	{"leader epoch not checked", "broker/log/stored.go", "case !s.epochFits(b):", "case false:", inLog},

	// Transactions and producers.
	{"only the last batch is a duplicate", "broker/txn/producer.go", "for _, d := range w.batches {\n		if d.firstSeq", "for _, d := range w.batches[max(0, len(w.batches)-1):] {\n		if d.firstSeq", inTxn},
	{"sequences forgotten after a marker", "broker/txn/producer.go", "		w.open = false", "		w.open, w.batches = false, nil", inTxn},
	{"aborted batch that comes again is a duplicate", "broker/txn/producer.go", "w.open && !commit {", "w.open && false {", inTxn},
	{"any sequence after a marker of a later epoch", "broker/txn/producer.go", "if first != next && !again {", "if len(w.batches) > 0 && first != next && !again {", inTxn},
	{"a batch behind a refused one begins a transaction", "broker/txn/producer.go", "if first > a.lowest {", "if false {", inTxn},
	{"producer with an open transaction expires", "broker/txn/producer.go", "w.last < before && !w.open", "w.last < before", inTxn},
	{"old epoch accepted", "broker/txn/producer.go", "case epoch < w.epoch:", "case false:", inTxn},
	{"fencing does not bump", "broker/txn/coordinator.go", "	ch.Epoch++\n", "", inTxn},
	{"marker dropped", "broker/transactions.go", "		c.append(t.partitions()[tp.Partition], marker,", "		if marker != nil {\n			continue\n		}\n		c.append(t.partitions()[tp.Partition], marker,", inBroker},
	{"last stable offset early", "broker/log/partition.go", "b.LastStable = min(b.LastStable, first)", "b.LastStable = min(b.LastStable, first+1)", inBroker},
	{"aborted transactions not indexed", "broker/log/partition.go", "ok && known && !commit {", "ok && known && !commit && false {", inBroker},

	// Compaction and retention.
	{"compaction keeps the older value", "broker/log/keymap.go", "	*s = keySlot{h, offset}\n	return true", "	if s.offset < 0 {\n		*s = keySlot{h, offset}\n	}\n	return true", inLog},
	{"tombstone goes early", "broker/log/rewrite.go", "(rec.Value != nil || !hasHorizon || horizon > r.now)", "(rec.Value != nil || hasHorizon && horizon < 0)", inLog},
	{"aborted data survives compaction", "broker/log/rewrite.go", "case b.Transactional() && r.isAborted(b):", "case false:", inLog},
	{"marker goes before its data", "broker/log/rewrite.go", "if dataKept || b.BaseOffset()", "if dataKept && false || b.BaseOffset()", inLog},
	{"sequence forgotten by compaction", "broker/log/rewrite.go", "if !last && !(active && a.HasData && a.Last == b.LastOffset()) {", "if !last && !(active && a.Last < -1) {", inLog},
	{"open transaction compacted", "broker/log/compact.go", "if b.LastOffset() >= c.limit || b", "if b", inLog},
	{"young record compacted", "broker/log/compact.go", "|| b.MaxTimestamp() > youngest {", "|| b.MaxTimestamp() > max(youngest, 1<<62) {", inLog},
	{"retention passes an open transaction", "broker/log/retention.go", "if next > stable || !old && !large {", "if next > stable+1<<40 || !old && !large {", inLog},
	{"retention follows a clock that jumps", "broker/steady.go", "	s.ms.Store(int64(next))", "	s.ms.Store(int64(wall))", inBroker},

	// A full disk.
	{"refused frames not taken back", "broker/wal/full.go", "for _, at := range l.unsynced {", "for _, at := range l.unsynced[:0] {", inWAL},
	{"offsets of refused frames not taken back", "broker/refused.go", "a.p.next = a.base", "_ = a.base", inBroker},
	{"topics and transactions of refused frames not taken back", "broker/refused.go", "		undo()\n", "		_ = undo\n", inBroker},
	{"windows of refused batches not taken back", "broker/refused.go", "a.p.producers.Restore(s)", "_ = s", inBroker},
	{"who comes during a probe is refused", "broker/wal/log.go", "&& !(l.full.now && l.full.probing)", "", inWAL},
	{"small frames overtake a large one that waits", "broker/wal/log.go", "if len(l.line) > 0 || !l.passes(n) {", "if false {", inWAL},
	{"half requests are not cut", "broker/budget.go", "cut = append(cut, func() { h.cut(bytes) })", "_ = bytes", inBroker},
	{"large requests leave nothing to small ones", "broker/budget.go", "left -= g.all / smallShare", "left -= 0", inBroker},
	{"long frame without its checksum", "broker/wal/commit.go", "	f.setCRC(crc)\n	l.bufAt = start", "	l.bufAt = start", inWAL},
	{"long frame before what is buffered", "broker/wal/commit.go", "if long || len(l.buf)+", "if len(l.buf)+", inWAL},
	{"padding summed", "broker/wal/commit.go", "		crc = crc32.Update(crc, castagnoli, f.buf[from:to])", "		crc = crc32.Update(crc, castagnoli, f.buf[from:max(to, (to+7)&^7)])", inWAL},
	{"refused batch stays in the frame", "broker/stage.go", "	c.frame.Drop(c.appends[i].entry)\n", "", inBroker},
	{"frames go on behind a refused one", "broker/wal/commit.go", "err = l.full.refusing", "err = nil", inWAL},

	// Work behind the log.
	{"segments not handed over in steps", "broker/log/step.go", "return vfs.SyncTo(f, size)", "return nil", inLog},
	{"failed step taken for a full disk", "internal/vfs/full.go", "	_, err := f.SyncTo(length)\n	return syncError(err)", "	_, err := f.SyncTo(length)\n	return err", inLog},
	{"work behind the log does not give way", "broker/wal/log.go", "for l.full.busy && l.groups == group", "for false && l.groups == group", inWAL},
	{"work behind the log waits for ever", "broker/wal/log.go", "for l.full.busy && l.groups == group", "for l.full.busy && l.groups >= group", inWAL},

	// Encryption.
	{"counter of nonces stands still", "internal/seal/sealer.go", "n := s.count.Add(1)", "n := s.count.Load()", inSeal},
	{"salt of a run not random", "internal/seal/sealer.go", "if _, err := rand.Read(s.run.salt[:]); err != nil {", "if _, err := rand.Read(nil); err != nil {", inSeal},
	{"salt of a file not random", "internal/seal/files.go", "if _, err := rand.Read(head[20:36]); err != nil {", "if _, err := rand.Read(nil); err != nil {", inSeal},
	{"keystream used twice in a file", "internal/seal/files.go", "uint64(at/aes.BlockSize)", "uint64(at/aes.BlockSize)%16", inSeal},
	{"encrypted file written behind a failed write", "internal/seal/files.go", "f.writable = vfs.IsFull(err)", "f.writable = true", inSeal},
	{"blob not bound to its context", "internal/seal/sealer.go", "p.b = append(append(p.b, blobVersion), context...)", "p.b = append(p.b, blobVersion)", inSeal},
	{"batches not encrypted", "broker/log/seal.go", "	if s == nil {\n		return f.AddBatches(", "	if true {\n		return f.AddBatches(", inBroker},
	{"compacted batches not encrypted", "broker/log/cleanwriter.go", "sealer != nil && !w.stored {", "sealer != nil && false {", inBroker},
	{"events not encrypted", "broker/wal/frame.go", "	if s == nil {\n		f.buf = append(f.buf, kind, 0", "	if true {\n		f.buf = append(f.buf, kind, 0", []string{"wal", ""}},
	{"checkpoint not encrypted", "broker/checkpoint.go", "s.root, s.state, b.encryption.sealing())", "s.root, s.state, wal.Sealing{})", inBroker},
	{"batch not bound to its partition", "broker/log/seal.go", "c = binary.BigEndian.AppendUint32(c, uint32(partition))", "c = binary.BigEndian.AppendUint32(c, 0)", []string{"log", ""}},
	{"batch not bound to its header", "broker/log/seal.go", "return append(c, b[guardedBytes:kafka.BatchHeaderBytes]...)", "return c", inLog},
	{"encrypted batches handed out", "broker/log/seal.go", "	if s == nil || len(run.Batches) == 0 {", "	if true {", inBroker},
	{"keys of segments not checked", "broker/encryption.go", "if err == nil {\n				err = p.CheckKeys()", "if err == nil && p == nil {\n				err = p.CheckKeys()", inBroker},
	{"keys of log files not checked", "broker/recover.go", "err := log.CheckKeys(e.Batches, b.encryption.sealer); err != nil", "err := error(nil); err != nil", inBroker},
	{"needed keys forgotten", "broker/encryption.go", "		case !slices.Contains(e.needed, id):", "		case false && !slices.Contains(e.needed, id):", inBroker},
}
