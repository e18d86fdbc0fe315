/* Thrift's compact protocol: fields as deltas of ids, integers as zigzag varints. */
#include "formats/parquet/thrift_int.h"

#include <string.h>

void thrift_writer_init(struct thrift_writer *writer, struct weir_buffer *out,
                        struct weir_error *reterr)
{
    *writer = (struct thrift_writer){.out = out, .reterr = reterr, .depth = -1};
}

static void write_bytes(struct thrift_writer *writer, const void *data, size_t size)
{
    if (writer->status == WEIR_OK)
        writer->status = weir_buffer_append(writer->out, data, size, writer->reterr);
}

static void write_varint(struct thrift_writer *writer, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    while (value >= 0x80) {
        bytes[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    write_bytes(writer, bytes, size);
}

static void write_zigzag(struct thrift_writer *writer, int64_t value)
{
    write_varint(writer, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static void write_head(struct thrift_writer *writer, int16_t id, enum thrift_type type)
{
    int16_t *last = &writer->last_id[writer->depth];
    int delta = id - *last;
    if (delta > 0 && delta <= 15) {
        write_bytes(writer, &(uint8_t){(uint8_t)(delta << 4 | (int)type)}, 1);
    } else {
        write_bytes(writer, &(uint8_t){(uint8_t)type}, 1);
        write_zigzag(writer, id);
    }
    *last = id;
}

void thrift_write_bool(struct thrift_writer *writer, int16_t id, bool value)
{
    write_head(writer, id, value ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_write_i8(struct thrift_writer *writer, int16_t id, int8_t value)
{
    write_head(writer, id, THRIFT_BYTE);
    write_bytes(writer, &value, 1);
}

void thrift_write_i16(struct thrift_writer *writer, int16_t id, int16_t value)
{
    write_head(writer, id, THRIFT_I16);
    write_zigzag(writer, value);
}

void thrift_write_i32(struct thrift_writer *writer, int16_t id, int32_t value)
{
    write_head(writer, id, THRIFT_I32);
    write_zigzag(writer, value);
}

void thrift_write_i64(struct thrift_writer *writer, int16_t id, int64_t value)
{
    write_head(writer, id, THRIFT_I64);
    write_zigzag(writer, value);
}

void thrift_write_binary(struct thrift_writer *writer, int16_t id, const void *data, size_t size)
{
    write_head(writer, id, THRIFT_BINARY);
    thrift_element_binary(writer, data, size);
}

void thrift_write_text(struct thrift_writer *writer, int16_t id, const char *text)
{
    thrift_write_binary(writer, id, text, strlen(text));
}

void thrift_element_struct(struct thrift_writer *writer)
{
    if (writer->depth + 1 >= THRIFT_DEPTH_MAX) {
        if (writer->status == WEIR_OK)
            writer->status = weir_fail(writer->reterr, WEIR_INTERNAL,
                                       "thrift structs deeper than %d", THRIFT_DEPTH_MAX);
        return;
    }
    writer->last_id[++writer->depth] = 0;
}

void thrift_begin_struct(struct thrift_writer *writer, int16_t id)
{
    write_head(writer, id, THRIFT_STRUCT);
    thrift_element_struct(writer);
}

void thrift_end_struct(struct thrift_writer *writer)
{
    write_bytes(writer, &(uint8_t){THRIFT_STOP}, 1);
    writer->depth--;
}

void thrift_begin_list(struct thrift_writer *writer, int16_t id, enum thrift_type element,
                       size_t count)
{
    write_head(writer, id, THRIFT_LIST);
    if (count < 15) {
        write_bytes(writer, &(uint8_t){(uint8_t)(count << 4 | element)}, 1);
    } else {
        write_bytes(writer, &(uint8_t){(uint8_t)(0xf0 | element)}, 1);
        write_varint(writer, count);
    }
}

void thrift_element_i32(struct thrift_writer *writer, int32_t value)
{
    write_zigzag(writer, value);
}
void thrift_element_i64(struct thrift_writer *writer, int64_t value)
{
    write_zigzag(writer, value);
}

void thrift_element_bool(struct thrift_writer *writer, bool value)
{
    write_bytes(writer, &(uint8_t){value ? THRIFT_TRUE : THRIFT_FALSE}, 1);
}

void thrift_element_binary(struct thrift_writer *writer, const void *data, size_t size)
{
    write_varint(writer, size);
    write_bytes(writer, data, size);
}

/* ---- reading
 * ----------------------------------------------------------------------------------------------------
 */

void thrift_reader_init(struct thrift_reader *reader, const void *data, size_t size)
{
    *reader = (struct thrift_reader){.data = data, .size = size, .depth = -1};
}

void thrift_fault(struct thrift_reader *reader, const char *fault)
{
    if (reader->failed)
        return;
    reader->failed = true;
    reader->fault = fault;
}

static uint8_t read_byte(struct thrift_reader *reader)
{
    if (reader->failed)
        return 0;
    if (reader->at >= reader->size) {
        thrift_fault(reader, "cut off");
        return 0;
    }
    return reader->data[reader->at++];
}

static uint64_t read_varint(struct thrift_reader *reader)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        uint8_t byte = read_byte(reader);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    thrift_fault(reader, "varint of more than 10 bytes");
    return 0;
}

int64_t thrift_read_i64(struct thrift_reader *reader)
{
    uint64_t value = read_varint(reader);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

void thrift_enter_struct(struct thrift_reader *reader)
{
    if (reader->failed)
        return;
    if (reader->depth + 1 >= THRIFT_DEPTH_MAX) {
        thrift_fault(reader, "structs nested too deep");
        return;
    }
    reader->last_id[++reader->depth] = 0;
}

bool thrift_next_field(struct thrift_reader *reader, int16_t *ret_id)
{
    uint8_t head = read_byte(reader);
    if (reader->failed || reader->depth < 0)
        return false;
    if (head == THRIFT_STOP) {
        reader->depth--;
        return false;
    }
    int id = head >> 4 ? reader->last_id[reader->depth] + (head >> 4)
                       : (int)(int16_t)thrift_read_i64(reader);
    reader->type = head & 0x0f;
    if (reader->type == 0 || reader->type > THRIFT_STRUCT || id > INT16_MAX)
        thrift_fault(reader, "unknown field type");
    if (reader->failed)
        return false;
    reader->last_id[reader->depth] = (int16_t)id;
    *ret_id = (int16_t)id;
    return true;
}

bool thrift_read_bool(struct thrift_reader *reader)
{
    if (reader->type != THRIFT_TRUE && reader->type != THRIFT_FALSE)
        thrift_fault(reader, "field is not a boolean");
    return reader->type == THRIFT_TRUE;
}

bool thrift_read_bool_element(struct thrift_reader *reader)
{
    return read_byte(reader) == THRIFT_TRUE;
}

int64_t thrift_read_integer(struct thrift_reader *reader)
{
    if (reader->type == THRIFT_BYTE)
        return (int8_t)read_byte(reader);
    if (reader->type < THRIFT_I16 || reader->type > THRIFT_I64) {
        thrift_fault(reader, "field is not an integer");
        return 0;
    }
    return thrift_read_i64(reader);
}

static struct weir_bytes read_binary_value(struct thrift_reader *reader)
{
    uint64_t size = read_varint(reader);
    if (!reader->failed && size > reader->size - reader->at)
        thrift_fault(reader, "text longer than the bytes left");
    if (reader->failed)
        return (struct weir_bytes){0};
    struct weir_bytes bytes = {reader->data + reader->at, (size_t)size};
    reader->at += (size_t)size;
    return bytes;
}

struct weir_bytes thrift_read_binary(struct thrift_reader *reader)
{
    if (reader->type != THRIFT_BINARY)
        thrift_fault(reader, "field is not a text");
    return reader->failed ? (struct weir_bytes){0} : read_binary_value(reader);
}

static size_t read_list_head(struct thrift_reader *reader, enum thrift_type *ret_element)
{
    uint8_t head = read_byte(reader);
    uint64_t count = head >> 4;
    if (count == 15)
        count = read_varint(reader);
    *ret_element = head & 0x0f;
    /* Every element takes at least one byte: a larger count is a lie, and must not size an
     * allocation. */
    if (!reader->failed && count > reader->size - reader->at)
        thrift_fault(reader, "list longer than the bytes left");
    return reader->failed ? 0 : (size_t)count;
}

size_t thrift_read_list(struct thrift_reader *reader, enum thrift_type element)
{
    if (reader->type != THRIFT_LIST && reader->type != THRIFT_SET) {
        thrift_fault(reader, "field is not a list");
        return 0;
    }
    enum thrift_type met;
    size_t count = read_list_head(reader, &met);
    bool both_bool = (met == THRIFT_TRUE || met == THRIFT_FALSE) &&
                     (element == THRIFT_TRUE || element == THRIFT_FALSE);
    if (count && met != element && !both_bool) {
        thrift_fault(reader, "list of another type");
        return 0;
    }
    return count;
}

static void skip_value(struct thrift_reader *reader, enum thrift_type type, bool element);

static void skip_list(struct thrift_reader *reader)
{
    enum thrift_type element;
    size_t count = read_list_head(reader, &element);
    for (size_t i = 0; i < count && !reader->failed; i++)
        skip_value(reader, element, true);
}

static void skip_map(struct thrift_reader *reader)
{
    uint64_t count = read_varint(reader);
    uint8_t types = count ? read_byte(reader) : 0;
    for (uint64_t i = 0; i < count && !reader->failed; i++) {
        skip_value(reader, types >> 4, true);
        skip_value(reader, types & 0x0f, true);
    }
}

static void skip_value(struct thrift_reader *reader, enum thrift_type type, bool element)
{
    int16_t id;
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        if (element) /* a field's boolean is in its type */
            read_byte(reader);
        return;
    case THRIFT_BYTE: read_byte(reader); return;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64: read_varint(reader); return;
    case THRIFT_DOUBLE:
        for (int i = 0; i < 8; i++)
            read_byte(reader);
        return;
    case THRIFT_BINARY: read_binary_value(reader); return;
    case THRIFT_STRUCT:
        thrift_enter_struct(reader);
        while (thrift_next_field(reader, &id))
            skip_value(reader, reader->type, false);
        return;
    case THRIFT_LIST:
    case THRIFT_SET:
    case THRIFT_MAP:
        /* Lists of lists nest without structs: count their depth in the same stack. */
        thrift_enter_struct(reader);
        if (type == THRIFT_MAP)
            skip_map(reader);
        else
            skip_list(reader);
        reader->depth--;
        return;
    default: thrift_fault(reader, "unknown type");
    }
}

void thrift_skip(struct thrift_reader *reader)
{
    skip_value(reader, reader->type, false);
}
