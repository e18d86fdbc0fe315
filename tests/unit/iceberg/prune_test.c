/* Pruning never loses a row: random tables, random bounds and partitions as honest writers make
 * them, random predicates. Row sets and deletion vectors, name mappings and default values. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "formats/iceberg/prune.h"
#include "formats/iceberg/resolve.h"
#include "formats/iceberg/row_set.h"

static struct weir_account account;
static struct weir_arena arena;
static struct weir_error error;

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 256u << 20);
    weir_arena_init(&arena, &account);
}

static void teardown(void)
{
    weir_arena_done(&arena);
    cr_assert_eq(atomic_load(&account.used), 0);
}

TestSuite(prune, .init = setup, .fini = teardown);

static uint64_t state = 42;
static uint32_t draw(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

#define ROWS    12
#define COLUMNS 4

static struct weir_field fields[COLUMNS] = {
    {.name = "n", .id = 1, .type = {.id = WEIR_INT}},
    {.name = "s", .id = 2, .type = {.id = WEIR_STRING}},
    {.name = "at", .id = 3, .type = {.id = WEIR_TIMESTAMPTZ}},
    {.name = "d", .id = 4, .type = {.id = WEIR_DECIMAL, .precision = 9, .scale = 2}},
};
static const struct weir_type schema = {
    .id = WEIR_STRUCT, .child_count = COLUMNS, .children = fields};

static void check(weir_status status)
{
    cr_assert_eq(status, WEIR_OK, "%s", error.text);
}

/* Few different values, so that predicates meet them. */
static void random_value(uint32_t column, struct weir_vector *out, uint32_t row)
{
    static const char *const texts[] = {"",
                                        "a",
                                        "aa",
                                        "ab",
                                        "abcdefghijklmnopqrstuvwxyz",
                                        "abcdefghijklmnopz",
                                        "b",
                                        "\303\251t\303\251"};
    int64_t micros = ((int64_t)draw(200) - 100) * 3600000000 * 7 + draw(3);
    __int128 unscaled = (int)draw(40) - 20;
    const char *text = texts[draw(8)];
    switch (column) {
    case 0:
        ((int32_t *)out->values)[row] = draw(20) ? (int32_t)draw(30) - 15 : INT32_MIN + 3;
        break;
    case 2: ((int64_t *)out->values)[row] = micros; break;
    case 3: memcpy((uint8_t *)out->values + (size_t)row * 16, &unscaled, 16); break;
    default:
        memcpy((uint8_t *)out->values + out->offsets[row], text, strlen(text));
        out->offsets[row + 1] = out->offsets[row] + (int32_t)strlen(text);
    }
}

static struct weir_vector random_vector(uint32_t column, uint32_t count, bool nulls)
{
    struct weir_vector out;
    check(weir_vector_make(&arena, &fields[column].type, count, count * 32, &out, &error));
    check(weir_arena_zero(&arena, count / 8 + 64, 1, &out.validity, &error));
    for (uint32_t i = 0; i < count; i++) {
        random_value(column, &out, i);
        if (nulls && draw(4) == 0)
            out.null_count++;
        else
            weir_bit_set(out.validity, i);
    }
    out.count = count;
    return out;
}

static struct weir_bytes bytes_of(const struct weir_vector *vector, uint32_t row)
{
    struct weir_bytes bytes = {0};
    check(weir_value_binary(&arena, vector, row, &bytes, &error));
    return bytes;
}

/* Whether the predicate holds for a value; data NULL = null. */
static bool holds(const struct weir_predicate *predicate, const struct weir_type *type,
                  const struct weir_bytes *value)
{
    if (predicate->kind == WEIR_PREDICATE_IS_NULL)
        return !value->data;
    if (predicate->kind == WEIR_PREDICATE_NOT_NULL)
        return value->data != NULL;
    for (uint32_t i = 0; value->data && i < predicate->value.count; i++) {
        struct weir_bytes other = bytes_of(&predicate->value, i);
        if (!other.data)
            continue;
        int order = weir_value_compare(type, value, &other);
        switch (predicate->kind) {
        case WEIR_PREDICATE_LT:
            if (order < 0)
                return true;
            break;
        case WEIR_PREDICATE_LE:
            if (order <= 0)
                return true;
            break;
        case WEIR_PREDICATE_GT:
            if (order > 0)
                return true;
            break;
        case WEIR_PREDICATE_GE:
            if (order >= 0)
                return true;
            break;
        default:
            if (order == 0)
                return true;
        }
    }
    return false;
}

static struct weir_predicate random_predicate(void)
{
    uint32_t column = draw(COLUMNS);
    struct weir_predicate predicate = {
        .kind = (enum weir_predicate_kind)draw(8), .path = {column}, .path_size = 1};
    uint32_t count = predicate.kind == WEIR_PREDICATE_IN ? draw(4) : 1;
    predicate.value = random_vector(column, count, predicate.kind == WEIR_PREDICATE_IN);
    return predicate;
}

/* Bounds as writers cut them: texts to 4 bytes, the upper one rounded up or, by some, not. */
static struct weir_bytes cut(struct weir_bytes bound, uint32_t column)
{
    if (column == 1 && bound.size > 4)
        bound.size = 4;
    return bound;
}

static struct weir_data_file make_file(const struct weir_vector *columns)
{
    struct weir_id_bound *lower, *upper;
    struct weir_id_count *nulls, *values;
    check(weir_arena_zero(&arena, COLUMNS, sizeof *lower, &lower, &error));
    check(weir_arena_zero(&arena, COLUMNS, sizeof *upper, &upper, &error));
    check(weir_arena_zero(&arena, COLUMNS, sizeof *nulls, &nulls, &error));
    check(weir_arena_zero(&arena, COLUMNS, sizeof *values, &values, &error));
    size_t bounds = 0;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        struct weir_bytes low = {0}, high = {0};
        for (uint32_t row = 0; row < ROWS; row++) {
            struct weir_bytes value = bytes_of(&columns[i], row);
            if (value.data && (!low.data || weir_value_compare(columns[i].type, &value, &low) < 0))
                low = value;
            if (value.data &&
                (!high.data || weir_value_compare(columns[i].type, &value, &high) > 0))
                high = value;
        }
        nulls[i] = (struct weir_id_count){(int32_t)i + 1, columns[i].null_count};
        values[i] = (struct weir_id_count){(int32_t)i + 1, ROWS};
        if (low.data) {
            lower[bounds] = (struct weir_id_bound){(int32_t)i + 1, cut(low, i)};
            upper[bounds++] = (struct weir_id_bound){(int32_t)i + 1, cut(high, i)};
        }
    }
    return (struct weir_data_file){.path = "f",
                                   .record_count = ROWS,
                                   .lower = lower,
                                   .upper = upper,
                                   .lower_count = bounds,
                                   .upper_count = bounds,
                                   .null_counts = nulls,
                                   .null_count_count = COLUMNS,
                                   .value_counts = values,
                                   .value_count_count = COLUMNS};
}

Test(prune, columns_never_lose_a_row)
{
    size_t skipped = 0;
    for (int round = 0; round < 4000; round++) {
        struct weir_vector columns[COLUMNS];
        for (uint32_t i = 0; i < COLUMNS; i++)
            columns[i] = random_vector(i, ROWS, draw(2));
        struct weir_data_file file = make_file(columns);
        struct weir_predicate predicates[2] = {random_predicate(), random_predicate()};
        struct weir_prune *prune;
        check(weir_prune_new(&arena, &schema, predicates, 2, &prune, &error));
        bool any = false;
        for (uint32_t row = 0; row < ROWS; row++) {
            bool all = true;
            for (int i = 0; i < 2; i++) {
                uint32_t column = predicates[i].path[0];
                struct weir_bytes value = bytes_of(&columns[column], row);
                all = all && holds(&predicates[i], columns[column].type, &value);
            }
            any = any || all;
        }
        bool kept = weir_prune_columns(prune, &file);
        cr_assert(kept || !any, "round %d: a wanted row was skipped", round);
        skipped += !kept;
        weir_arena_reset(&arena);
    }
    cr_assert_gt(skipped, 400, "something is skipped: %zu", skipped);
}

static const struct weir_partition_field partition_fields[] = {
    {1, 1000, "n", "identity"},          {1, 1001, "n_bucket", "bucket[4]"},
    {1, 1002, "n_trunc", "truncate[7]"}, {2, 1003, "s", "identity"},
    {2, 1004, "s_trunc", "truncate[2]"}, {2, 1005, "s_bucket", "bucket[3]"},
    {3, 1006, "at_day", "day"},          {3, 1007, "at_month", "month"},
    {3, 1008, "at_year", "year"},        {3, 1009, "at_hour", "hour"},
    {4, 1010, "d", "truncate[5]"},       {4, 1011, "gone", "void"},
    {4, 1012, "later", "zorder"},
};
#define FIELDS (sizeof partition_fields / sizeof *partition_fields)

Test(prune, partitions_never_lose_a_row)
{
    size_t skipped = 0, manifests_skipped = 0;
    for (int round = 0; round < 6000; round++) {
        const struct weir_partition_field *field = &partition_fields[draw(FIELDS)];
        struct weir_partition_spec spec = {1, field, 1};
        uint32_t column = (uint32_t)field->source_id - 1;
        struct weir_vector values = random_vector(column, 3, true), results;
        struct weir_predicate predicate = random_predicate();
        struct weir_prune *prune;
        check(weir_prune_new(&arena, &schema, &predicate, 1, &prune, &error));
        check(weir_prune_prepare(prune, &spec, &error));
        bool known = strcmp(field->transform, "zorder") != 0;
        if (known)
            check(weir_transform_apply(&arena, field->transform, &values, &results, &error));
        struct weir_field_summary summary = {.contains_nan = -1};
        bool any = false;
        for (uint32_t row = 0; row < 3; row++) {
            struct weir_bytes value = bytes_of(&values, row), partition = {0};
            if (known)
                partition = bytes_of(&results, row);
            struct weir_data_file file = {
                .spec_id = 1, .partition = &partition, .partition_count = 1, .record_count = 1};
            bool wanted = predicate.path[0] != column || holds(&predicate, values.type, &value);
            bool kept = weir_prune_partition(prune, &file);
            cr_assert(kept || !wanted, "round %d: %s", round, field->transform);
            skipped += !kept;
            any = any || wanted;
            summary.contains_null = summary.contains_null || !partition.data;
            if (partition.data &&
                (!summary.lower.data ||
                 weir_value_compare(results.type, &partition, &summary.lower) < 0))
                summary.lower = partition;
            if (partition.data &&
                (!summary.upper.data ||
                 weir_value_compare(results.type, &partition, &summary.upper) > 0))
                summary.upper = partition;
        }
        struct weir_manifest manifest = {
            .spec_id = 1, .partitions = &summary, .partition_count = 1};
        bool kept = weir_prune_manifest(prune, &manifest);
        cr_assert(kept || !any, "round %d: manifest by %s", round, field->transform);
        manifests_skipped += !kept;
        weir_arena_reset(&arena);
    }
    cr_assert_gt(skipped, 500, "%zu", skipped);
    cr_assert_gt(manifests_skipped, 50, "%zu", manifests_skipped);
}

Test(prune, dates_among_timestamps_and_nan)
{
    struct weir_type at = {.id = WEIR_TIMESTAMP}, real = {.id = WEIR_DOUBLE};
    int32_t day = 1;
    int64_t micros = INT64_C(86400000000);
    struct weir_bytes old = {(const uint8_t *)&day, 4}, new = {(const uint8_t *)&micros, 8};
    double nan = __builtin_nan("");
    struct weir_bytes none = {(const uint8_t *)&nan, 8};
    cr_assert_eq(weir_value_compare(&at, &old, &new), 0, "a day is its first microsecond");
    cr_assert_not(weir_bound_usable(&real, &none));
    struct weir_vector widened;
    check(weir_value_vector(&arena, &at, &old, &widened, &error));
    cr_assert_eq(((int64_t *)widened.values)[0], micros);
    cr_assert_eq(
        weir_value_vector(&arena, &real, &(struct weir_bytes){old.data, 3}, &widened, &error),
        WEIR_CORRUPT);
}

/* ---- row sets ------------------------------------------------------------------------------- */

static void put(struct weir_buffer *out, uint64_t value, size_t size)
{
    check(weir_buffer_append(out, &value, size, &error));
}

static void put_big(struct weir_buffer *out, uint32_t value)
{
    value = __builtin_bswap32(value);
    check(weir_buffer_append(out, &value, 4, &error));
}

/* A vector of an array container (1, 5), a run container (70000..70009) and 2^32 + 3. */
static void make_vector(struct weir_buffer *out)
{
    WEIR_AUTO(weir_buffer) body = {.account = &account};
    put(&body, 0x6439d3d1, 4);
    put(&body, 2, 8);
    put(&body, 0, 4);
    put(&body, 12347 | 1 << 16, 4);
    put(&body, 2, 1); /* the second is runs */
    put(&body, 0, 2);
    put(&body, 1, 2);
    put(&body, 1, 2);
    put(&body, 9, 2);
    put(&body, 1, 2);
    put(&body, 5, 2);
    put(&body, 1, 2);
    put(&body, 70000 - 65536, 2);
    put(&body, 9, 2);
    put(&body, 1, 4);
    put(&body, 12346, 4);
    put(&body, 1, 4);
    put(&body, 0, 2);
    put(&body, 0, 2);
    put(&body, 16, 4);
    put(&body, 3, 2);
    put_big(out, (uint32_t)body.size);
    check(weir_buffer_append(out, body.data, body.size, &error));
    put_big(out, (uint32_t)crc32_z(0, body.data, body.size));
}

Test(prune, deletion_vector)
{
    WEIR_AUTO(weir_buffer) blob = {.account = &account};
    struct weir_row_set set;
    uint8_t keep[3];
    make_vector(&blob);
    check(weir_row_set_init(&set, &arena, (UINT64_C(1) << 32) + 10, &error));
    check(weir_row_set_add_vector(&set, blob.data, blob.size, &error));
    cr_assert_eq(set.set_count, 13);
    cr_assert(weir_row_set_has(&set, 1) && weir_row_set_has(&set, 5) && !weir_row_set_has(&set, 2));
    cr_assert(weir_row_set_has(&set, 70000) && weir_row_set_has(&set, 70009));
    cr_assert_not(weir_row_set_has(&set, 70010));
    cr_assert(weir_row_set_has(&set, (UINT64_C(1) << 32) + 3));
    memset(keep, 0xff, sizeof keep);
    weir_row_set_clear(&set, 69999, 20, keep);
    cr_assert_eq(keep[0], 1);
    cr_assert_eq(keep[1], 0xf8);
    check(weir_row_set_init(&set, &arena, 3, &error));
    check(weir_row_set_add_vector(&set, blob.data, blob.size, &error));
    cr_assert_eq(set.set_count, 1, "rows that the file does not have are none");
}

Test(prune, damaged_vectors_end_in_an_error)
{
    WEIR_AUTO(weir_buffer) blob = {.account = &account};
    struct weir_row_set set;
    make_vector(&blob);
    check(weir_row_set_init(&set, &arena, 100000, &error));
    for (size_t size = 0; size < blob.size; size++)
        cr_assert_eq(weir_row_set_add_vector(&set, blob.data, size, &error), WEIR_CORRUPT);
    for (size_t at = 8; at < blob.size - 4; at++)
        for (int bit = 0; bit < 8; bit++) {
            blob.data[at] ^= (uint8_t)(1 << bit);
            cr_assert_eq(weir_row_set_add_vector(&set, blob.data, blob.size, &error), WEIR_CORRUPT,
                         "checksum");
            uint32_t sum = __builtin_bswap32((uint32_t)crc32_z(0, blob.data + 4, blob.size - 8));
            uint32_t old;
            memcpy(&old, blob.data + blob.size - 4, 4);
            memcpy(blob.data + blob.size - 4, &sum, 4);
            (void)!weir_row_set_add_vector(&set, blob.data, blob.size, &error); /* no crash */
            memcpy(blob.data + blob.size - 4, &old, 4);
            blob.data[at] ^= (uint8_t)(1 << bit);
        }
}

/* ---- names and defaults --------------------------------------------------------------------- */

Test(prune, name_mapping_takes_the_name_that_the_file_has)
{
    json_t *mapping = json_loads("[{\"field-id\":1,\"names\":[\"n\",\"old\"]},"
                                 "{\"field-id\":3,\"names\":[\"at\"]}]",
                                 0, NULL);
    struct weir_field has[] = {{.name = "old", .type = {.id = WEIR_INT}},
                               {.name = "s", .type = {.id = WEIR_STRING}}};
    struct weir_type file = {.id = WEIR_STRUCT, .child_count = 2, .children = has}, names;
    check(weir_name_mapping_apply(&arena, mapping, &schema, &file, &names, &error));
    cr_assert_str_eq(names.children[0].name, "old");
    cr_assert_str_neq(names.children[1].name, "s", "not mapped: not there");
    cr_assert_str_neq(names.children[2].name, "at", "the file lacks it");
    json_decref(mapping);
}

Test(prune, defaults_from_json)
{
    static const struct {
        struct weir_type type;
        const char *json;
        weir_status status;
    } cases[] = {
        {{.id = WEIR_INT}, "34", WEIR_OK},
        {{.id = WEIR_INT}, "3000000000", WEIR_CORRUPT},
        {{.id = WEIR_DATE}, "\"2026-11-23\"", WEIR_OK},
        {{.id = WEIR_TIMESTAMPTZ}, "\"2026-11-23T10:00:00+00:00\"", WEIR_OK},
        {{.id = WEIR_DECIMAL, .precision = 9, .scale = 2}, "\"14.20\"", WEIR_OK},
        {{.id = WEIR_BINARY}, "\"00ff\"", WEIR_OK},
        {{.id = WEIR_BINARY}, "\"0g\"", WEIR_CORRUPT},
        {{.id = WEIR_FIXED, .length = 2}, "\"00ff\"", WEIR_OK},
        {{.id = WEIR_FIXED, .length = 3}, "\"00ff\"", WEIR_CORRUPT},
        {{.id = WEIR_BOOLEAN}, "true", WEIR_OK},
        {{.id = WEIR_STRING}, "7", WEIR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_vector value;
        json_t *json = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        cr_assert_eq(weir_value_from_json(&arena, &cases[i].type, json, &value, &error),
                     cases[i].status, "%s: %s", cases[i].json, error.text);
        json_decref(json);
    }
}

Test(prune, types_of_version_three)
{
    json_t *json = json_loads(
        "{\"type\":\"struct\",\"schema-id\":1,\"fields\":["
        "{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"int\",\"initial-default\":5},"
        "{\"id\":2,\"name\":\"b\",\"required\":false,\"type\":\"timestamp_ns\"},"
        "{\"id\":3,\"name\":\"c\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["
        "{\"id\":4,\"name\":\"x\",\"required\":false,\"type\":\"variant\"},"
        "{\"id\":5,\"name\":\"y\",\"required\":false,\"type\":\"int\"}]}},"
        "{\"id\":6,\"name\":\"d\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":7,"
        "\"element\":\"geometry(srid:1)\",\"element-required\":false}},"
        "{\"id\":8,\"name\":\"e\",\"required\":false,\"type\":\"unknown\"}]}",
        0, NULL);
    struct weir_schema read;
    struct weir_schema_refusal *refusals;
    size_t count;
    cr_assert_eq(weir_schema_from_json(&arena, json, &read, &error), WEIR_UNSUPPORTED);
    check(weir_schema_read(&arena, json, &read, &refusals, &count, &error));
    cr_assert_eq(read.root.child_count, 3);
    cr_assert_str_eq(read.root.children[1].name, "c");
    cr_assert_eq(read.root.children[1].type.child_count, 1);
    cr_assert_eq(read.root.children[2].type.id, WEIR_STRING);
    cr_assert_eq(count, 3);
    cr_assert_str_eq(refusals[0].path, "c.x", "inner ones first");
    cr_assert_str_eq(refusals[1].path, "b");
    cr_assert_str_eq(refusals[1].type, "timestamp_ns");
    cr_assert_str_eq(refusals[2].path, "d");
    cr_assert_not_null(json_object_get(weir_schema_field_json(json, 1), "initial-default"));
    cr_assert_not_null(weir_schema_field_json(json, 5));
    cr_assert_null(weir_schema_field_json(json, 99));
    json_decref(json);
}
