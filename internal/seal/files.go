package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/internal/vfs"
)

const (
	fileMagic       = "MILLSEAL"
	fileVersion     = 1
	fileHeaderBytes = 64
	// scratchBytes are encrypted at a time when a file is written.
	scratchBytes = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrAppendOnly is wrapped by errors about writes that would use a keystream
// twice.
var ErrAppendOnly = errors.New("seal: encrypted files are written once, in order")

// Files is a file system whose files are encrypted: for the state store, whose
// files are written in order, once, and check their own content. Names, and
// directories, are those of the file system below.
type Files struct {
	vfs.FS
	keys *Keys
}

// NewFiles returns a file system that encrypts the files of fsys.
func NewFiles(fsys vfs.FS, keys *Keys) *Files { return &Files{fsys, keys} }

// Check looks at the heads of the files in a directory and says why one of them
// cannot be read: it is not encrypted, or its key was not given (ErrUnknownKey).
// A head that a crash left short or empty is no reason.
func (s *Files) Check(dir string) (reason, err error) {
	names, err := s.FS.List(dir)
	if err != nil {
		if vfs.IsNotExist(err) {
			return nil, nil
		}
		return nil, err
	}
	for _, name := range names {
		path := s.FS.PathJoin(dir, name)
		if info, err := s.FS.Stat(path); err != nil {
			return nil, err
		} else if info.IsDir() {
			continue
		}
		f, err := s.FS.Open(path)
		if err != nil {
			return nil, err
		}
		head, err := readHead(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		if len(head) < fileHeaderBytes || [fileHeaderBytes]byte(head) == [fileHeaderBytes]byte{} {
			continue
		}
		if _, err := s.cipherOf(head); err != nil {
			return fmt.Errorf("%s: %w", path, err), nil
		}
	}
	return nil, nil
}

// readHead reads a file's header, or less when the file is shorter.
func readHead(f vfs.File) ([]byte, error) {
	head := make([]byte, fileHeaderBytes)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the head of an encrypted file: %w", err)
	}
	return head[:n], nil
}

// cipherOf returns the cipher of the file whose header is given.
func (s *Files) cipherOf(head []byte) (cipher.Block, error) {
	if len(head) < fileHeaderBytes || string(head[:8]) != fileMagic {
		return nil, fmt.Errorf("%w: not an encrypted file", vfs.ErrCorrupt)
	}
	if crc32.Checksum(head[:60], castagnoli) != binary.BigEndian.Uint32(head[60:]) {
		return nil, fmt.Errorf("%w: head of an encrypted file: checksum mismatch", vfs.ErrCorrupt)
	}
	if v := binary.BigEndian.Uint32(head[8:]); v != fileVersion {
		return nil, fmt.Errorf("%w: encrypted file of version %d, this program reads %d", vfs.ErrCorrupt, v, fileVersion)
	}
	key, err := s.keys.derive(KeyID(head[12:20]), [saltBytes]byte(head[20:36]), labelFile)
	if err != nil {
		return nil, err
	}
	return aes.NewCipher(key)
}

// Create implements FS: it writes the header.
func (s *Files) Create(name string, category pebblevfs.DiskWriteCategory) (vfs.File, error) {
	head := make([]byte, fileHeaderBytes)
	copy(head, fileMagic)
	binary.BigEndian.PutUint32(head[8:], fileVersion)
	id := s.keys.First()
	copy(head[12:], id[:])
	if _, err := rand.Read(head[20:36]); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	binary.BigEndian.PutUint32(head[60:], crc32.Checksum(head[:60], castagnoli))
	block, err := s.cipherOf(head)
	if err != nil {
		return nil, err
	}
	f, err := s.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(head); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &file{File: f, block: block, writable: true}, nil
}

// Open implements FS.
func (s *Files) Open(name string, opts ...pebblevfs.OpenOption) (vfs.File, error) {
	if info, err := s.FS.Stat(name); err == nil && info.IsDir() {
		return s.FS.Open(name, opts...)
	}
	f, err := s.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	head, err := readHead(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	block, err := s.cipherOf(head)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", name, err), f.Close())
	}
	return &file{File: f, block: block}, nil
}

// OpenReadWrite implements FS by refusing.
func (s *Files) OpenReadWrite(name string, _ pebblevfs.DiskWriteCategory, _ ...pebblevfs.OpenOption) (vfs.File, error) {
	return nil, fmt.Errorf("%w: open %s for writing", ErrAppendOnly, name)
}

// ReuseForWrite implements FS by removing the old file: its keystream is used up.
func (s *Files) ReuseForWrite(from, to string, category pebblevfs.DiskWriteCategory) (vfs.File, error) {
	if err := s.FS.Remove(from); err != nil {
		return nil, err
	}
	return s.Create(to, category)
}

// Stat implements FS. The size is that of the content.
func (s *Files) Stat(name string) (pebblevfs.FileInfo, error) {
	info, err := s.FS.Stat(name)
	return contentInfo(info), err
}

// Unwrap implements FS by telling nobody about the file system below, where
// writing would not be encrypted.
func (s *Files) Unwrap() vfs.FS { return nil }

// fileInfo is a FileInfo of a file's content.
type fileInfo struct{ pebblevfs.FileInfo }

func contentInfo(info pebblevfs.FileInfo) pebblevfs.FileInfo {
	if info == nil || info.IsDir() {
		return info
	}
	return fileInfo{info}
}

// Size returns the bytes behind the header.
func (i fileInfo) Size() int64 { return max(0, i.FileInfo.Size()-fileHeaderBytes) }

// file is an open encrypted file.
type file struct {
	vfs.File
	block    cipher.Block
	writable bool
	at       int64 // of the next Read or Write
	scratch  []byte
}

// xor encrypts or decrypts bytes of the file's content from a position on.
func (f *file) xor(dst, src []byte, at int64) {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint64(iv[8:], uint64(at/aes.BlockSize))
	stream := cipher.NewCTR(f.block, iv[:])
	var skip [aes.BlockSize]byte
	n := at % aes.BlockSize
	stream.XORKeyStream(skip[:n], skip[:n])
	stream.XORKeyStream(dst, src)
}

// Write implements File.
func (f *file) Write(b []byte) (written int, err error) {
	if !f.writable {
		return 0, fmt.Errorf("%w: the file was opened for reading", ErrAppendOnly)
	}
	if f.scratch == nil {
		f.scratch = make([]byte, scratchBytes)
	}
	for len(b) > 0 {
		n := min(len(b), scratchBytes)
		f.xor(f.scratch[:n], b[:n], f.at)
		m, err := f.File.Write(f.scratch[:n])
		f.at += int64(m)
		written += m
		if err != nil {
			// What may stand behind is not known, so nothing else may be written there,
			// but on a full disk, where nothing does.
			f.writable = vfs.IsFull(err)
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}

// WriteAt implements File by refusing.
func (f *file) WriteAt([]byte, int64) (int, error) {
	return 0, fmt.Errorf("%w: write at a position", ErrAppendOnly)
}

// Read implements File.
func (f *file) Read(b []byte) (int, error) {
	n, err := f.ReadAt(b, f.at)
	f.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// ReadAt implements File.
func (f *file) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("read at %d: before the file", at)
	}
	n, err := f.File.ReadAt(b, at+fileHeaderBytes)
	f.xor(b[:n], b[:n], at)
	return n, err
}

// Preallocate implements File.
func (f *file) Preallocate(at, length int64) error {
	return f.File.Preallocate(at+fileHeaderBytes, length)
}

// Prefetch implements File.
func (f *file) Prefetch(at, length int64) error { return f.File.Prefetch(at+fileHeaderBytes, length) }

// SyncTo implements File.
func (f *file) SyncTo(length int64) (bool, error) { return f.File.SyncTo(length + fileHeaderBytes) }

// Stat implements File. The size is that of the content.
func (f *file) Stat() (pebblevfs.FileInfo, error) {
	info, err := f.File.Stat()
	return contentInfo(info), err
}

// Fd implements File: there is no descriptor that reads what Read does.
func (f *file) Fd() uintptr { return pebblevfs.InvalidFd }
