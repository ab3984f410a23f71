package database

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"loanserve/mortgage"
)

// RegisterTypes teaches a connection to write and read our types as the bytes
// of the protocol. Without it they go through driver.Valuer and sql.Scanner: a
// uuid becomes text that is parsed again, and each element of an array is looked
// at by reflection. Statements that take thousands of rows as arrays spend most
// of their time in the program on that (docs/performance.md).
//
// Nothing depends on it but speed.
func RegisterTypes(_ context.Context, conn *pgx.Conn) error {
	m := conn.TypeMap()
	uuids := codec[uuid.UUID]{pgtype.UUIDCodec{}, appendUUID, scanUUID}
	dates := codec[mortgage.Date]{pgtype.DateCodec{}, appendDate, scanDate}
	id := &pgtype.Type{Name: "uuid", OID: pgtype.UUIDOID, Codec: uuids}
	day := &pgtype.Type{Name: "date", OID: pgtype.DateOID, Codec: dates}
	for _, t := range []*pgtype.Type{
		id, day,
		{Name: "_uuid", OID: pgtype.UUIDArrayOID, Codec: arrayOf(id, appendUUID)},
		{Name: "_date", OID: pgtype.DateArrayOID, Codec: arrayOf(day, appendDate)},
		{Name: "_int8", OID: pgtype.Int8ArrayOID, Codec: arrayOf(known(m, pgtype.Int8OID), appendInt64)},
		{Name: "_int4", OID: pgtype.Int4ArrayOID, Codec: arrayOf(known(m, pgtype.Int4OID), appendInt32)},
		{Name: "_text", OID: pgtype.TextArrayOID, Codec: arrayOf(known(m, pgtype.TextOID), appendText)},
	} {
		m.RegisterType(t)
	}
	return nil
}

func known(m *pgtype.Map, oid uint32) *pgtype.Type {
	t, _ := m.TypeForOID(oid) // Every map has the built-in types.
	return t
}

// appendFunc appends a value in binary form. It returns nil bytes for NULL.
type appendFunc[T any] func(buf []byte, value T) ([]byte, error)

func appendInt64(buf []byte, n int64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(buf, uint64(n)), nil
}

func appendInt32(buf []byte, n int32) ([]byte, error) {
	return binary.BigEndian.AppendUint32(buf, uint32(n)), nil
}

func appendText(buf []byte, text string) ([]byte, error)  { return append(buf, text...), nil }
func appendUUID(buf []byte, id uuid.UUID) ([]byte, error) { return append(buf, id[:]...), nil }

func scanUUID(src []byte, id *uuid.UUID) error {
	if len(src) != len(id) {
		return fmt.Errorf("a uuid of %d bytes", len(src))
	}
	copy(id[:], src)
	return nil
}

// firstDay is the day that PostgreSQL counts from, 2000-01-01.
const firstDay mortgage.Date = 730_120

// appendDate writes no date as NULL.
func appendDate(buf []byte, day mortgage.Date) ([]byte, error) {
	if day.IsZero() {
		return nil, nil
	}
	if day < mortgage.MinDate || day > mortgage.MaxDate {
		return nil, mortgage.ErrNotDate
	}
	return binary.BigEndian.AppendUint32(buf, uint32(day-firstDay)), nil
}

// scanDate reads NULL as no date. Infinity lies outside of what a day can be.
func scanDate(src []byte, day *mortgage.Date) error {
	if src == nil {
		*day = 0
		return nil
	}
	if len(src) != 4 {
		return fmt.Errorf("a date of %d bytes: %w", len(src), mortgage.ErrNotDate)
	}
	n := int64(int32(binary.BigEndian.Uint32(src))) + int64(firstDay)
	if n < int64(mortgage.MinDate) || n > int64(mortgage.MaxDate) {
		return mortgage.ErrNotDate
	}
	*day = mortgage.Date(n)
	return nil
}

// codec is a type's own codec, but for values of T in binary form.
type codec[T any] struct {
	pgtype.Codec

	append appendFunc[T]
	scan   func(src []byte, target *T) error
}

// PlanEncode implements pgtype.Codec.
func (c codec[T]) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format == pgtype.BinaryFormatCode {
		switch value.(type) {
		case T:
			return encodePlan[T](c.append)
		case *T:
			return encodePlan[*T](c.appendIfAny)
		}
	}
	return c.Codec.PlanEncode(m, oid, format, value)
}

func (c codec[T]) appendIfAny(buf []byte, value *T) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	return c.append(buf, *value)
}

// PlanScan implements pgtype.Codec.
func (c codec[T]) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ours := target.(*T); ours && format == pgtype.BinaryFormatCode {
		return scanPlan[T](c.scan)
	}
	return c.Codec.PlanScan(m, oid, format, target)
}

type encodePlan[T any] appendFunc[T]

// Encode implements pgtype.EncodePlan.
func (e encodePlan[T]) Encode(value any, buf []byte) ([]byte, error) {
	return e(buf, value.(T)) //nolint:forcetypeassert // PlanEncode has looked.
}

type scanPlan[T any] func(src []byte, target *T) error

// Scan implements pgtype.ScanPlan.
func (s scanPlan[T]) Scan(src []byte, target any) error {
	return s(src, target.(*T)) //nolint:forcetypeassert // PlanScan has looked.
}

// arrayCodec is an array's own codec, but for writing a slice of T in binary
// form.
type arrayCodec[T any] struct {
	*pgtype.ArrayCodec

	append appendFunc[T]
}

func arrayOf[T any](element *pgtype.Type, appendElement appendFunc[T]) arrayCodec[T] {
	return arrayCodec[T]{&pgtype.ArrayCodec{ElementType: element}, appendElement}
}

// PlanEncode implements pgtype.Codec.
func (c arrayCodec[T]) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ours := value.([]T); ours && format == pgtype.BinaryFormatCode {
		return encodePlan[[]T](c.encode)
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

// What an array takes, and an element with its length, if it is no long text.
const (
	headerBytes  = 20
	elementBytes = 20
)

// encode writes an array of one dimension: how many there are, whether there is
// a NULL among them, the element's type, the length and the first index; then
// each element behind its length, which of a NULL is -1.
//
// Source: array_send in PostgreSQL's src/backend/utils/adt/arrayfuncs.c.
func (c arrayCodec[T]) encode(buf []byte, values []T) ([]byte, error) {
	if values == nil {
		return nil, nil
	}
	if len(values) == 0 {
		buf = append(buf, 0, 0, 0, 0, 0, 0, 0, 0)
		return binary.BigEndian.AppendUint32(buf, c.ElementType.OID), nil
	}
	buf = slices.Grow(buf, headerBytes+len(values)*elementBytes)
	buf = append(buf, 0, 0, 0, 1, 0, 0, 0, 0)
	hasNull := len(buf) - 1
	buf = binary.BigEndian.AppendUint32(buf, c.ElementType.OID)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(values)))
	buf = append(buf, 0, 0, 0, 1)
	for _, value := range values {
		length := len(buf)
		buf = append(buf, 0xff, 0xff, 0xff, 0xff)
		element, err := c.append(buf, value)
		if err != nil {
			return nil, err
		}
		if element == nil {
			buf[hasNull] = 1
			continue
		}
		buf = element
		binary.BigEndian.PutUint32(buf[length:], uint32(len(buf)-length-4))
	}
	return buf, nil
}
