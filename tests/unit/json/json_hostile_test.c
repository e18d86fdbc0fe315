/* Records made to hurt: each costs itself and nothing else. Under ASan, in blocks of their exact
 * size. */
#include "tests/unit/json/json_help.h"

#include "engine/base/limits.h"

static const char inventory[] =
    "struct<record_id: string, os: struct<name: string, build: int>, usage: double, disks: "
    "list<struct<mount: string, free: double, "
    "encrypted: boolean>>, collected_at: timestamptz, tags: map<string, string>>";

static const char inventory_record[] =
    "{\"record_id\":\"r-1\",\"os\":{\"name\":\"Windows \\ud83d\\ude80 "
    "11\",\"build\":22631},\"usage\":12.75,\"disks\":[{\"mount\":\"C:\\\\\","
    "\"free\":1e2,\"encrypted\":true},{\"mount\":\"é\",\"free\":-0.5,\"encrypted\":false}],"
    "\"collected_at\":\"2025-11-03T10:00:00.123Z\","
    "\"tags\":{\"owner\":\"Jos\\u00e9\",\"room\":null},\"more\":{\"x\":[1,2,{\"y\":false}]}}";

static const char *const levels[] = {"plain", "avx2", "avx512"};

Test(json_hostile, every_prefix)
{
    for (size_t level = 0; level < COUNT(levels); level++) {
        struct bench bench;
        setenv("WEIR_SIMD", levels[level], 1);
        bench_open(&bench, inventory, NULL);
        for (size_t size = 0; size < sizeof inventory_record - 1; size++) {
            struct weir_bytes records[3] = {
                exact_copy(inventory_record, sizeof inventory_record - 1),
                exact_copy(inventory_record, size),
                exact_copy(inventory_record, sizeof inventory_record - 1)};
            bench_decode(&bench, records, 3);
            cr_assert_eq(bench.decoded.refusal_count, 1, "prefix of %zu", size);
            cr_assert_eq(bench.decoded.refusals[0].record, 1);
            cr_assert_eq(bench.decoded.refusals[0].reason,
                         size ? WEIR_REASON_SYNTAX : WEIR_REASON_EMPTY, "prefix of %zu: %s", size,
                         bench.decoded.refusals[0].message);
            cr_assert(size == 0 || bench.decoded.refusals[0].position <= size);
            char *second = strchr((char *)bench.text.data, '\n');
            *second++ = '\0';
            cr_assert_str_eq((char *)bench.text.data, second, "the neighbours of a prefix of %zu",
                             size);
            for (int i = 0; i < 3; i++)
                free((void *)records[i].data);
        }
        bench_close(&bench);
    }
}

Test(json_hostile, every_byte_changed)
{
    static const uint8_t values[] = {0,   1,   0x1F, ' ',  '"',  '\\', '{',  '}',  '[',
                                     ']', ',', ':',  '-',  '0',  '9',  '.',  'e',  'n',
                                     't', 'u', 0x7F, 0x80, 0xC3, 0xE0, 0xED, 0xF0, 0xFF};
    struct bench bench;
    bench_open(&bench, inventory, NULL);
    for (size_t at = 0; at < sizeof inventory_record - 1; at++) {
        struct weir_bytes records[COUNT(values) + 1];
        for (size_t i = 0; i <= COUNT(values); i++) {
            records[i] = exact_copy(inventory_record, sizeof inventory_record - 1);
            if (i < COUNT(values))
                ((uint8_t *)records[i].data)[at] = values[i];
        }
        bench_decode(&bench, records, COUNT(records));
        for (uint32_t i = 0; i < bench.decoded.refusal_count; i++)
            cr_assert(bench.decoded.refusals[i].position == UINT32_MAX ||
                      bench.decoded.refusals[i].position < sizeof inventory_record);
        cr_assert_eq(bench.decoded.source[bench.decoded.batch.count - 1], COUNT(values),
                     "the untouched one is there");
        for (size_t i = 0; i < COUNT(records); i++)
            free((void *)records[i].data);
    }
    bench_close(&bench);
}

/* `count` times `open`, then `middle`, then `count` times `close`. */
static char *nested(size_t count, const char *open, const char *middle, const char *close)
{
    size_t open_size = strlen(open), close_size = strlen(close), middle_size = strlen(middle);
    char *text = malloc(count * (open_size + close_size) + middle_size + 1), *at = text;
    for (size_t i = 0; i < count; i++, at += open_size)
        memcpy(at, open, open_size);
    memcpy(at, middle, middle_size);
    at += middle_size;
    for (size_t i = 0; i < count; i++, at += close_size)
        memcpy(at, close, close_size);
    *at = '\0';
    return text;
}

static void expect(struct bench *bench, const char *text, size_t size, int reason)
{
    bench_one(bench, text, size);
    cr_assert_eq(bench->decoded.refusal_count, reason >= 0);
    if (reason >= 0)
        cr_assert_eq((int)bench->decoded.refusals[0].reason, reason, "%s at %u: %s",
                     weir_reason_name(bench->decoded.refusals[0].reason),
                     bench->decoded.refusals[0].position, bench->decoded.refusals[0].message);
}

Test(json_hostile, nesting)
{
    static const struct {
        size_t depth;
        const char *open, *middle, *close;
        int reason;
    } cases[] = {
        {WEIR_JSON_DEPTH_MAX, "{\"x\":", "1", "}", -1},
        {WEIR_JSON_DEPTH_MAX + 1, "{\"x\":", "1", "}", WEIR_REASON_DEPTH},
        {300, "{\"x\":", "1", "}", WEIR_REASON_DEPTH},
        {1000000, "{\"x\":", "1", "}", WEIR_REASON_DEPTH},
        {300, "{\"x\":[", "", "]}", WEIR_REASON_DEPTH},
        {300, "{\"disks\":", "1", "}", WEIR_REASON_TYPE},
        {1000000, "[", "", "", WEIR_REASON_DEPTH},
        {1000000, "{\"x\":", "", "", WEIR_REASON_DEPTH},
    };
    struct bench bench;
    bench_open(&bench, inventory, NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = nested(cases[i].depth, cases[i].open, cases[i].middle, cases[i].close);
        int reason = i == 5 ? WEIR_REASON_DEPTH : cases[i].reason;
        expect(&bench, text, strlen(text), reason);
        free(text);
    }
    char *list = nested(WEIR_JSON_DEPTH_MAX, "[", "", "]"), text[2 * WEIR_JSON_DEPTH_MAX + 40];
    snprintf(text, sizeof text, "{\"tags\":{\"x\":%s}}", list); /* deep under a declared map */
    expect(&bench, text, strlen(text), WEIR_REASON_DEPTH);
    free(list);
    bench_close(&bench);
}

Test(json_hostile, large_values)
{
    struct bench bench;
    size_t size = 50u << 20;
    char *text = malloc((size_t)WEIR_RECORD_SIZE_MAX + 1);
    bench_open(&bench, inventory, NULL);

    memset(text, 'x', size);
    memcpy(text, "{\"record_id\":\"", 14);
    memcpy(text + size - 2, "\"}", 2);
    struct weir_bytes record = {(const uint8_t *)text, size};
    weir_arena_reset(&bench.arena);
    cr_assert_eq(weir_json_decode(bench.decoder, &record, 1, &bench.arena, &bench.decoded, NULL),
                 WEIR_OK);
    cr_assert_eq(bench.decoded.batch.count, 1);
    cr_assert_eq(bench.decoded.batch.columns[0].offsets[1], (int32_t)size - 16);

    text[size / 2] = (char)0xFF;
    cr_assert_eq(weir_json_decode(bench.decoder, &record, 1, &bench.arena, &bench.decoded, NULL),
                 WEIR_OK);
    cr_assert_eq(bench.decoded.refusals[0].reason, WEIR_REASON_ENCODING);
    cr_assert_eq(bench.decoded.refusals[0].position, size / 2);

    memset(text, '9', size); /* a number of 50 MB */
    memcpy(text, "{\"usage\":", 9);
    text[size - 1] = '}';
    cr_assert_eq(weir_json_decode(bench.decoder, &record, 1, &bench.arena, &bench.decoded, NULL),
                 WEIR_OK);
    cr_assert_eq(bench.decoded.refusals[0].reason, WEIR_REASON_RANGE);

    record.size = (size_t)WEIR_RECORD_SIZE_MAX + 1;
    weir_arena_reset(&bench.arena);
    cr_assert_eq(weir_json_decode(bench.decoder, &record, 1, &bench.arena, &bench.decoded, NULL),
                 WEIR_OK);
    cr_assert_eq(bench.decoded.refusals[0].reason, WEIR_REASON_TOO_LARGE);

    struct weir_bytes many[9]; /* more than a call may hold: a status, not a wrong offset */
    for (int i = 0; i < 9; i++)
        many[i] = (struct weir_bytes){(const uint8_t *)text, WEIR_RECORD_SIZE_MAX};
    struct weir_error error = {0};
    cr_assert_eq(weir_json_decode(bench.decoder, many, 9, &bench.arena, &bench.decoded, &error),
                 WEIR_USAGE);
    cr_assert_not_null(strstr(error.text, "in one call"));
    free(text);
    bench_close(&bench);
}

Test(json_hostile, nul_bytes)
{
    static const struct {
        const char *text;
        size_t size;
        uint32_t position;
    } cases[] = {{"{\"a\":\"x\0y\"}", 11, 7}, {"{\"a\":1}\0", 8, 7}, {"\0", 1, 0}, {"{\0}", 3, 1},
                 {"{\"usage\":1\0}", 12, 10}, {"{\"a\0\":1}", 8, 3}};
    struct bench bench;
    bench_open(&bench, inventory, NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect(&bench, cases[i].text, cases[i].size, WEIR_REASON_SYNTAX);
        cr_assert_eq(bench.decoded.refusals[0].position, cases[i].position, "case %zu: %u", i,
                     bench.decoded.refusals[0].position);
    }
    bench_close(&bench);
}

/* Work must stay linear: each would take hours if a key were compared with every other. */
Test(json_hostile, repeated_keys_in_bulk, .timeout = 60)
{
    size_t count = 300000, size;
    char *text = malloc(count * 40 + 100);
    struct bench bench;
    bench_open(&bench, inventory, NULL);

    size = (size_t)sprintf(text, "{\"tags\":{");
    for (size_t i = 0; i < count; i++)
        size += (size_t)sprintf(text + size, "\"k%zu\":\"v%zu\",", i % (count / 2), i);
    size += (size_t)sprintf(text + size, "\"last\":null}}");
    bench_one(&bench, text, size);
    cr_assert_eq(bench.decoded.refusal_count, 0);
    cr_assert_eq(bench.decoded.batch.columns[5].offsets[1], (int32_t)(count / 2 + 1));

    size = (size_t)sprintf(text, "{");
    for (size_t i = 0; i < count; i++)
        size += (size_t)sprintf(text + size, "\"disks\":[{\"free\":%s}],", i % 2 ? "1" : "\"x\"");
    size += (size_t)sprintf(text + size, "\"usage\":1}");
    bench_one(&bench, text, size);
    cr_assert_eq(bench.decoded.refusal_count, 0);
    cr_assert_eq(bench.decoded.batch.columns[3].children[0].count, 1);
    free(text);
    bench_close(&bench);
}

Test(json_hostile, unknown_keys_in_bulk, .timeout = 60)
{
    static const struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_EVOLVE};
    size_t count = 1000000, size;
    struct weir_arena arena;
    struct weir_type type;
    char *text = malloc(count * 20 + 100);
    struct bench bench;
    bench_open(&bench, inventory, &options);
    size = (size_t)sprintf(text, "{\"usage\":1");
    for (size_t i = 0; i < count; i++)
        size += (size_t)sprintf(text + size, ",\"n%zu\":%zu", i, i);
    size += (size_t)sprintf(text + size, "}");
    bench_one(&bench, text, size);
    cr_assert_eq(bench.decoded.refusal_count, 0);
    weir_arena_init(&arena, NULL);
    cr_assert_eq(weir_json_evolved(&bench.decoder, 1, &arena, &type, NULL), WEIR_OK);
    cr_assert(type.child_count > 9000 && type.child_count <= WEIR_SCHEMA_FIELDS_MAX + 20, "%u",
              type.child_count);
    weir_arena_done(&arena);
    free(text);
    bench_close(&bench);
}

/* Every allocation may fail: a status, and nothing kept. */
Test(json_hostile, memory_limits)
{
    static const struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_EVOLVE};
    static char text[40000];
    size_t size = (size_t)sprintf(text,
                                  "{\"more\":{\"x\":1},\"record_id\":\"\\u00e9\",\"disks\":[{}"),
           failed = 0;
    for (int i = 0; i < 1500; i++)
        size += (size_t)sprintf(text + size, ",{\"mount\":\"m%d\"}", i);
    size += (size_t)sprintf(text + size, "],\"tags\":{");
    for (int i = 0; i < 300; i++)
        size += (size_t)sprintf(text + size, "%s\"k%d\":\"v\"", i ? "," : "", i % 200);
    size += (size_t)sprintf(text + size, "}}");
    for (size_t limit = 0; limit < 2000000; limit += 4096) {
        struct bench bench;
        struct weir_bytes record = {(const uint8_t *)text, size};
        bench_open(&bench, inventory, &options);
        bench.account.limit = bench.account.used + 1 + limit;
        weir_status status = weir_json_decode(bench.decoder, &record, 1, &bench.arena,
                                              &bench.decoded, NULL);
        cr_assert(status == WEIR_OK || status == WEIR_NO_MEMORY);
        if (status == WEIR_OK)
            cr_assert_eq(bench.decoded.batch.columns[3].children[0].count, 1501);
        failed += status != WEIR_OK;
        bench_close(&bench);
    }
    cr_assert(failed > 20 && failed < 480, "%zu limits were too small", failed);
}

/* The refusal names the place, not what stands there. */
Test(json_hostile, messages_keep_values_out)
{
    static const char *const records[] = {
        "{\"record_id\":123456789}",     "{\"usage\":\"SECRET\"}",
        "{\"collected_at\":\"SECRET\"}", "{\"os\":{\"build\":\"SECRET\"}}",
        "{\"tags\":{\"SECRET\":1}}",     "{\"usage\":SECRET}",
        "{\"record_id\":\"SECRET\\q\"}", "{\"os\":\"SECRET\"}",
    };
    struct bench bench;
    bench_open(&bench, inventory, NULL);
    for (size_t i = 0; i < COUNT(records); i++) {
        bench_one(&bench, records[i], strlen(records[i]));
        cr_assert_eq(bench.decoded.refusal_count, 1);
        cr_assert_null(strstr(bench.decoded.refusals[0].message, "SECRET"), "%s",
                       bench.decoded.refusals[0].message);
        cr_assert_null(strstr(bench.decoded.refusals[0].message, "12345"), "%s",
                       bench.decoded.refusals[0].message);
    }
    bench_close(&bench);
}

/* A path longer than its room loses its outer end, and nothing else happens. */
Test(json_hostile, long_paths)
{
    struct weir_type types[31];
    struct weir_field fields[31];
    static char name[201], text[32 * 220];
    struct weir_account account;
    struct weir_arena arena;
    struct weir_json_decoder *decoder;
    struct weir_decoded decoded;
    size_t size = 0;
    memset(name, 'n', 200);
    types[30] = (struct weir_type){.id = WEIR_INT};
    for (int i = 29; i >= 0; i--) {
        fields[i] = (struct weir_field){.name = name, .type = types[i + 1]};
        types[i] = (struct weir_type){.id = WEIR_STRUCT, .child_count = 1, .children = &fields[i]};
        size += (size_t)sprintf(text + size, "{\"%s\":", name);
    }
    size += (size_t)sprintf(text + size, "\"x\"");
    for (int i = 0; i < 30; i++)
        size += (size_t)sprintf(text + size, "}");
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
    cr_assert_eq(weir_json_decoder_new(&account, &types[0], NULL, &decoder, NULL), WEIR_OK);
    struct weir_bytes record = {(const uint8_t *)text, size};
    cr_assert_eq(weir_json_decode(decoder, &record, 1, &arena, &decoded, NULL), WEIR_OK);
    cr_assert_eq(decoded.refusals[0].reason, WEIR_REASON_TYPE);
    cr_assert_eq(strncmp(decoded.refusals[0].message, "...", 3), 0, "%s",
                 decoded.refusals[0].message);
    weir_json_decoder_free(decoder);
    weir_arena_done(&arena);
}
