/* Manifests and manifest lists: round trips, inheritance, summaries, other writers' shapes, hostile
 * bytes. */
#include "formats/iceberg/manifest.h"

#include "formats/avro/avro.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct weir_account account;
static struct weir_arena arena;
static struct weir_error error;

static struct weir_field fields[] = {
    {.name = "at", .id = 1, .type = {.id = WEIR_TIMESTAMPTZ}},
    {.name = "site", .id = 2, .type = {.id = WEIR_STRING}},
    {.name = "price", .id = 3, .type = {.id = WEIR_DECIMAL, .precision = 9, .scale = 2}},
    {.name = "load", .id = 4, .type = {.id = WEIR_DOUBLE}},
    {.name = "device", .id = 5, .type = {.id = WEIR_UUID}},
    {.name = "total", .id = 6, .type = {.id = WEIR_LONG}},
    {.name = "flag", .id = 7, .type = {.id = WEIR_BOOLEAN}},
    {.name = "code", .id = 8, .type = {.id = WEIR_FIXED, .length = 3}},
    {.name = "cost", .id = 9, .type = {.id = WEIR_DECIMAL, .precision = 9, .scale = 2}},
};
static const struct weir_schema schema = {
    .id = 3, .root = {.id = WEIR_STRUCT, .child_count = 9, .children = fields}};
static const struct weir_partition_field partition_fields[] = {
    {1, 1000, "at_day", "day"},         {2, 1001, "si te/\303\244", "identity"},
    {3, 1002, "price", "identity"},     {4, 1003, "load", "identity"},
    {5, 1004, "device", "identity"},    {6, 1005, "total", "identity"},
    {7, 1006, "flag", "identity"},      {8, 1007, "code", "identity"},
    {9, 1008, "cost", "truncate[100]"}, {5, 1009, "device_bucket", "bucket[8]"},
    {2, 1010, "gone", "void"},
};
#define PARTS (sizeof partition_fields / sizeof *partition_fields)
static const struct weir_partition_spec spec = {2, partition_fields, PARTS};

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 64u << 20);
    weir_arena_init(&arena, &account);
}

static void teardown(void)
{
    weir_arena_done(&arena);
    cr_assert_eq(atomic_load(&account.used), 0);
}

TestSuite(manifest, .init = setup, .fini = teardown);

#define BYTES(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)text, sizeof text - 1                                                     \
    }

static const struct weir_bytes values[PARTS] = {
    BYTES("\x2c\x51\0\0"),
    BYTES("a b"),
    BYTES("\xfa\x74"),
    BYTES("\0\0\0\0\0\0\xf8\x3f"),
    BYTES("0123456789abcdef"),
    BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"),
    BYTES("\1"),
    BYTES("xyz"),
    BYTES("\5\xdc"),
    BYTES("\7\0\0\0"),
    {NULL, 0},
};
static const struct weir_bytes others[PARTS] = {
    BYTES("\x2d\x51\0\0"),
    BYTES(""),
    {NULL, 0},
    BYTES("\0\0\0\0\0\0\xf8\x7f") /* NaN */,
    {NULL, 0},
    BYTES("\1\0\0\0") /* an int, before the column was widened */,
    {NULL, 0},
    {NULL, 0},
    {NULL, 0},
    {NULL, 0},
    {NULL, 0},
};
static const struct weir_id_count counts[] = {{1, 10}, {2, INT64_MAX}};
static const struct weir_id_bound lower[] = {{1, BYTES("\1\0\0\0\0\0\0\0")}, {2, BYTES("")}};
static const int64_t splits[] = {4, 1000};
static const int32_t equality[] = {2, 6};

static struct weir_manifest_entry entry(enum weir_entry_status status,
                                        const struct weir_bytes *partition)
{
    bool added = status == WEIR_ENTRY_ADDED;
    return (struct weir_manifest_entry){.status = status,
                                        .snapshot_id = added ? -1 : 5,
                                        .sequence_number = added ? -1 : 6,
                                        .file_sequence_number = added ? -1 : 4,
                                        .file = {.content = 0,
                                                 .path = "s3://b/t/data/f.parquet",
                                                 .format = "PARQUET",
                                                 .spec_id = 2,
                                                 .partition = partition,
                                                 .record_count = 10,
                                                 .file_size = 12345,
                                                 .column_sizes = counts,
                                                 .column_size_count = 2,
                                                 .value_counts = counts,
                                                 .value_count_count = 2,
                                                 .null_counts = counts,
                                                 .null_count_count = 1,
                                                 .lower = lower,
                                                 .lower_count = 2,
                                                 .upper = lower,
                                                 .upper_count = 2,
                                                 .split_offsets = splits,
                                                 .split_count = 2,
                                                 .sort_order_id = 0,
                                                 .equality_ids = equality,
                                                 .equality_id_count = 2,
                                                 .key_metadata = BYTES("key"),
                                                 .referenced_data_file = "s3://b/other"}};
}

static struct weir_manifest write(struct weir_buffer *out)
{
    struct weir_manifest manifest;
    struct weir_manifest_entry entries[] = {entry(WEIR_ENTRY_ADDED, values),
                                            entry(WEIR_ENTRY_EXISTING, others),
                                            entry(WEIR_ENTRY_DELETED, values)};
    cr_assert_eq(
        weir_manifest_write(&arena, &schema, &spec, 0, 77, 9, entries, 3, out, &manifest, &error),
        WEIR_OK, "%s", error.text);
    manifest.path = "s3://b/t/metadata/77-m0.avro";
    return manifest;
}

Test(manifest, entries_there_and_back)
{
    WEIR_AUTO(weir_buffer)
    out = {.account = &account};
    struct weir_manifest manifest = write(&out);
    struct weir_manifest_entry *entries;
    size_t count;
    cr_assert_eq(manifest.length, out.size);
    cr_assert_eq(
        weir_manifest_read(&arena, out.data, out.size, &manifest, &entries, &count, &error),
        WEIR_OK, "%s", error.text);
    cr_assert_eq(count, 3);
    cr_assert_eq(entries[0].snapshot_id, 77, "inherited");
    cr_assert_eq(entries[0].sequence_number, 9);
    cr_assert_eq(entries[0].file_sequence_number, 9);
    cr_assert_eq(entries[1].snapshot_id, 5);
    cr_assert_eq(entries[1].sequence_number, 6);
    cr_assert_eq(entries[1].file_sequence_number, 4);
    cr_assert_eq(entries[2].status, WEIR_ENTRY_DELETED);
    const struct weir_data_file *file = &entries[0].file;
    cr_assert_str_eq(file->path, "s3://b/t/data/f.parquet");
    cr_assert_str_eq(file->format, "PARQUET");
    cr_assert_eq(file->spec_id, 2);
    for (size_t i = 0; i < PARTS; i++) {
        cr_assert_eq(file->partition[i].size, values[i].size, "partition %zu", i);
        cr_assert_eq(file->partition[i].data == NULL, values[i].data == NULL, "partition %zu", i);
        cr_assert(values[i].size == 0 ||
                      memcmp(file->partition[i].data, values[i].data, values[i].size) == 0,
                  "partition %zu", i);
    }
    cr_assert_eq(entries[1].file.partition[5].size, 8, "widened on the way");
    cr_assert_eq(file->value_count_count, 2);
    cr_assert_eq(file->value_counts[1].count, INT64_MAX);
    cr_assert_eq(file->nan_count_count, 0);
    cr_assert_eq(file->lower_count, 2);
    cr_assert_not_null(file->lower[1].bound.data);
    cr_assert_eq(file->split_offsets[1], 1000);
    cr_assert_eq(file->equality_ids[1], 6);
    cr_assert_eq(file->key_metadata.size, 3);
    cr_assert_str_eq(file->referenced_data_file, "s3://b/other");
    cr_assert_eq(file->sort_order_id, 0);
}

Test(manifest, summary_counts_and_bounds)
{
    WEIR_AUTO(weir_buffer)
    out = {.account = &account};
    WEIR_AUTO(weir_buffer)
    list = {.account = &account};
    struct weir_manifest manifest = write(&out), *back;
    size_t count;
    cr_assert_eq(manifest.added_files, 1);
    cr_assert_eq(manifest.existing_rows, 10);
    cr_assert_eq(manifest.deleted_files, 1);
    cr_assert_eq(manifest.min_sequence_number, 6);
    cr_assert_eq(manifest.sequence_number, 9);
    cr_assert_eq(weir_manifest_list_write(77, -1, 9, &manifest, 1, &list, &error), WEIR_OK, "%s",
                 error.text);
    cr_assert_eq(weir_manifest_list_read(&arena, list.data, list.size, &back, &count, &error),
                 WEIR_OK, "%s", error.text);
    cr_assert_eq(count, 1);
    cr_assert_str_eq(back->path, manifest.path);
    cr_assert_eq(back->length, manifest.length);
    cr_assert_eq(back->spec_id, 2);
    cr_assert_eq(back->added_snapshot_id, 77);
    cr_assert_eq(back->min_sequence_number, 6);
    cr_assert_eq(back->deleted_rows, 10);
    cr_assert_eq(back->partition_count, PARTS);
    const struct weir_field_summary *part = back->partitions;
    cr_assert_eq(part[0].lower.data[0], 0x2c);
    cr_assert_eq(part[0].upper.data[0], 0x2d);
    cr_assert_not(part[0].contains_null);
    cr_assert_eq(part[1].lower.size, 0);
    cr_assert_not_null(part[1].lower.data, "an empty text is a bound");
    cr_assert(part[2].contains_null);
    cr_assert_eq(part[3].contains_nan, 1);
    cr_assert_eq(part[3].upper.data[6], 0xf8, "NaN is no bound");
    cr_assert_eq(part[5].lower.data[0], 0xff, "-1 < 1 whatever the width");
    cr_assert_null(part[10].lower.data);
}

Test(manifest, header_and_schema_as_the_spec_wants_them)
{
    WEIR_AUTO(weir_buffer)
    out = {.account = &account};
    struct weir_avro_reader *reader;
    struct weir_bytes bytes;
    write(&out);
    cr_assert_eq(weir_avro_reader_open(&arena, out.data, out.size, &reader, &error), WEIR_OK, "%s",
                 error.text);
    static const struct {
        const char *key, *value;
    } headers[] = {{"schema-id", "3"},
                   {"partition-spec-id", "2"},
                   {"format-version", "2"},
                   {"content", "data"}};
    for (size_t i = 0; i < 4; i++) {
        cr_assert(weir_avro_reader_metadata(reader, headers[i].key, &bytes));
        cr_assert_str_eq((const char *)bytes.data, headers[i].value);
    }
    const struct weir_avro_type *root = weir_avro_reader_schema(reader);
    const struct weir_avro_type *file = root->fields[weir_avro_find(root, 2, "")].type;
    const struct weir_avro_type *partition = file->fields[weir_avro_find(file, 102, "")].type;
    cr_assert_str_eq(file->name, "r2");
    cr_assert_str_eq(partition->fields[0].type->fields[1].type->logical_type, "date");
    cr_assert_str_eq(partition->fields[1].name, "si_x20te_x2F_xC3_xA4");
    cr_assert_eq(partition->fields[2].type->fields[1].type->size, 4);
    static const struct {
        int id, key, value;
        const char *name;
    } maps[] = {{108, 117, 118, "column_sizes"},      {109, 119, 120, "value_counts"},
                {110, 121, 122, "null_value_counts"}, {137, 138, 139, "nan_value_counts"},
                {125, 126, 127, "lower_bounds"},      {128, 129, 130, "upper_bounds"}};
    for (size_t i = 0; i < 6; i++) {
        const struct weir_avro_field *field = &file->fields[weir_avro_find(file, maps[i].id, "")];
        const struct weir_avro_type *map = field->type->fields[1].type;
        cr_assert_str_eq(field->name, maps[i].name);
        cr_assert_str_eq(map->logical_type, "map");
        cr_assert_eq(map->fields[0].type->fields[0].id, maps[i].key);
        cr_assert_eq(map->fields[0].type->fields[1].id, maps[i].value);
    }
    weir_avro_reader_close(reader);
}

Test(manifest, an_empty_list_and_many_manifests)
{
    struct weir_manifest *back, many[3000] = {0};
    size_t count = 9;
    WEIR_AUTO(weir_buffer)
    list = {.account = &account};
    cr_assert_eq(weir_manifest_list_write(1, -1, 1, NULL, 0, &list, &error), WEIR_OK);
    cr_assert_eq(weir_manifest_list_read(&arena, list.data, list.size, &back, &count, &error),
                 WEIR_OK, "%s", error.text);
    cr_assert_eq(count, 0);
    weir_buffer_clear(&list);
    for (int i = 0; i < 3000; i++)
        many[i] = (struct weir_manifest){.path = "p", .length = i, .content = i % 2};
    cr_assert_eq(weir_manifest_list_write(1, 2, 1, many, 3000, &list, &error), WEIR_OK);
    cr_assert_eq(weir_manifest_list_read(&arena, list.data, list.size, &back, &count, &error),
                 WEIR_OK, "%s", error.text);
    cr_assert_eq(count, 3000);
    cr_assert_eq(back[2999].length, 2999);
    cr_assert_eq(back[2999].content, 1);
}

/* What a v1 writer leaves out: content, sequence numbers; optional counts; and names of old. */
Test(manifest, lists_of_version_1_without_ids)
{
    static const char text[] =
        "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":[{\"name\":\"manifest_path\","
        "\"type\":\"string\"},{\"name\":\"manifest_length\",\"type\":\"long\"},"
        "{\"name\":\"partition_spec_id\",\"type\":\"int\"},{\"name\":\"added_snapshot_id\","
        "\"type\":[\"null\",\"long\"]},{\"name\":\"added_data_files_count\",\"type\":[\"null\","
        "\"int\"]},"
        "{\"name\":\"surprise\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"array\","
        "\"items\":\"string\"}}}]}";
    WEIR_AUTO(weir_buffer)
    file = {.account = &account};
    struct weir_avro_writer writer;
    struct weir_manifest *back;
    size_t count;
    cr_assert_eq(weir_avro_writer_begin(&writer, &file, text, NULL, 0, false,
                                        (const uint8_t *)"0123456789abcdef", NULL),
                 WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(&writer.block, "s3://m", 6, NULL), WEIR_OK);
    const int64_t numbers[] = {100, 0, 1, 55, 1, 2 /* two files */, 1 /* one key */};
    for (size_t i = 0; i < 7; i++)
        cr_assert_eq(weir_avro_put_long(&writer.block, numbers[i], NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(&writer.block, "k", 1, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(&writer.block, 0, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(&writer.block, 0, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_writer_record(&writer, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_writer_finish(&writer, NULL), WEIR_OK);
    weir_avro_writer_done(&writer);
    cr_assert_eq(weir_manifest_list_read(&arena, file.data, file.size, &back, &count, &error),
                 WEIR_OK, "%s", error.text);
    cr_assert_eq(back[0].added_files, 2);
    cr_assert_eq(back[0].added_snapshot_id, 55);
    cr_assert_eq(back[0].sequence_number, 0);
    cr_assert_eq(back[0].existing_rows, -1, "unknown");
}

Test(manifest, what_may_not_be_written)
{
    WEIR_AUTO(weir_buffer)
    out = {.account = &account};
    struct weir_manifest manifest;
    struct weir_manifest_entry one = entry(WEIR_ENTRY_EXISTING, values);
    one.sequence_number = -1;
    cr_assert_eq(
        weir_manifest_write(&arena, &schema, &spec, 0, 77, 9, &one, 1, &out, &manifest, &error),
        WEIR_INTERNAL, "existing files do not inherit");
    one = entry(WEIR_ENTRY_ADDED, NULL);
    cr_assert_eq(
        weir_manifest_write(&arena, &schema, &spec, 0, 77, 9, &one, 1, &out, &manifest, &error),
        WEIR_INTERNAL);
    struct weir_bytes wrong[PARTS];
    for (size_t i = 0; i < PARTS - 1; i++) {
        memcpy(wrong, values, sizeof values);
        if (i == 1)
            continue;
        wrong[i] = (struct weir_bytes)BYTES("12345678901234567");
        one = entry(WEIR_ENTRY_ADDED, wrong);
        cr_assert_eq(
            weir_manifest_write(&arena, &schema, &spec, 0, 77, 9, &one, 1, &out, &manifest, &error),
            WEIR_INTERNAL, "partition %zu", i);
    }
}

Test(manifest, every_changed_byte_ends_in_a_status)
{
    WEIR_AUTO(weir_buffer)
    out = {.account = &account};
    struct weir_manifest manifest = write(&out), *lists;
    struct weir_manifest_entry *entries;
    size_t count;
    for (size_t at = 0; at < out.size; at += 4)
        for (int bit = (int)(at / 4 % 5); bit < 8; bit += 5) {
            struct weir_arena own;
            weir_arena_init(&own, &account);
            out.data[at] ^= (uint8_t)(1 << bit);
            weir_status status = weir_manifest_read(&own, out.data, out.size, &manifest, &entries,
                                                    &count, &error);
            cr_assert(status == WEIR_OK || status == WEIR_CORRUPT || status == WEIR_UNSUPPORTED ||
                          status == WEIR_NO_MEMORY,
                      "%s", error.text);
            status = weir_manifest_list_read(&own, out.data, out.size, &lists, &count, &error);
            cr_assert_neq(status, WEIR_OK, "a manifest is no manifest list");
            out.data[at] ^= (uint8_t)(1 << bit);
            weir_arena_done(&own);
        }
}

/* Fails the first allocation, the second, ...: until everything goes through. */
Test(manifest, memory_that_ends_anywhere)
{
    bool done = false;
    for (size_t limit = 512; !done; limit += 1777) {
        struct weir_account small;
        struct weir_arena own;
        struct weir_buffer out, list;
        struct weir_manifest manifest, *lists;
        struct weir_manifest_entry entries[] = {entry(WEIR_ENTRY_ADDED, values),
                                                entry(WEIR_ENTRY_EXISTING, others)},
                                   *back;
        size_t count;
        weir_account_init(&small, NULL, "small", limit);
        weir_arena_init(&own, &small);
        weir_buffer_init(&out, &small);
        weir_buffer_init(&list, &small);
        weir_status status = weir_manifest_write(&own, &schema, &spec, 0, 77, 9, entries, 2, &out,
                                                 &manifest, &error);
        if (status == WEIR_OK) {
            manifest.path = "p";
            status = weir_manifest_read(&own, out.data, out.size, &manifest, &back, &count, &error);
        }
        if (status == WEIR_OK)
            status = weir_manifest_list_write(77, -1, 9, &manifest, 1, &list, &error);
        if (status == WEIR_OK)
            status = weir_manifest_list_read(&own, list.data, list.size, &lists, &count, &error);
        cr_assert(status == WEIR_OK || status == WEIR_NO_MEMORY, "%s", error.text);
        done = status == WEIR_OK;
        weir_buffer_done(&out);
        weir_buffer_done(&list);
        weir_arena_done(&own);
        cr_assert_eq(atomic_load(&small.used), 0, "limit %zu leaks", limit);
        cr_assert_lt(limit, 10u << 20);
    }
}
