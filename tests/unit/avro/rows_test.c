/* Avro values to columns: every pair of types that goes together, what does not, hostile bytes. */
#include "formats/avro/rows.h"

#include "formats/json/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct weir_account account;
static struct weir_arena arena;

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
}
static void teardown(void)
{
    weir_arena_done(&arena);
    cr_expect_eq(atomic_load(&account.used), 0);
}
TestSuite(avro_rows, .init = setup, .fini = teardown);

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct weir_error ok_error_ = {0}, *error = &ok_error_;                                    \
        (void)error;                                                                               \
        weir_status ok_status_ = (call);                                                           \
        cr_assert_eq(ok_status_, WEIR_OK, "%s: %s", weir_status_name(ok_status_), ok_error_.text); \
    } while (0)

static const struct weir_avro_plan_options no_options;

static struct weir_avro_plan *plan_of(const char *schema, const struct weir_type *columns,
                                      const struct weir_avro_plan_options *options)
{
    struct weir_avro_type *writer;
    struct weir_avro_plan *plan;
    OK(weir_avro_schema_parse(&arena, schema, strlen(schema), &writer, error));
    OK(weir_avro_plan_make(&arena, writer, columns, options, &plan, error));
    return plan;
}

static struct weir_type type_of(const char *text)
{
    struct weir_type type;
    int32_t last = 0;
    OK(weir_type_parse(&arena, text, &type, error));
    weir_type_assign_ids(&type, &last);
    return type;
}

/* Rows as JSON and refusals as "!record reason: message", one a line. */
static void is_with(const char *schema, const char *columns, const char *bytes, size_t size,
                    const struct weir_avro_plan_options *options, const char *wanted)
{
    struct weir_type type = type_of(columns);
    struct weir_avro_rows *rows;
    struct weir_decoded decoded;
    uint8_t *exact = malloc(size ? size : 1); /* so that reading beyond is seen */
    memcpy(exact, bytes, size);
    struct weir_avro_record record = {plan_of(schema, &type, options), {exact, size}};
    struct weir_buffer out = {.account = &account};
    OK(weir_avro_rows_new(&account, &type, &rows, error));
    OK(weir_avro_rows_decode(rows, &record, 1, &arena, &decoded, error));
    OK(weir_json_write_rows(&decoded.batch, &out, error));
    for (uint32_t i = 0; i < decoded.refusal_count; i++)
        OK(weir_buffer_print(&out, error, "!%s: %s\n", weir_reason_name(decoded.refusals[i].reason),
                             decoded.refusals[i].message));
    OK(weir_buffer_append(&out, "", 1, error));
    cr_expect_str_eq((const char *)out.data, wanted, "%s as %s: %s", schema, columns,
                     (const char *)out.data);
    weir_avro_rows_free(rows);
    weir_buffer_done(&out);
    free(exact);
}

/* A record of one field `a`. */
#define FIELD(type)                                                                                \
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":" type "}]}"
#define IS(type, columns, bytes, wanted)                                                           \
    is_with(FIELD(type), columns, bytes, sizeof bytes - 1, &no_options, wanted)

Test(avro_rows, whole_numbers)
{
    IS("\"int\"", "struct<a:int>", "\x03", "{\"a\":-2}\n");
    IS("\"int\"", "struct<a:long>", "\xfe\xff\xff\xff\x0f", "{\"a\":2147483647}\n");
    IS("\"int\"", "struct<a:double>", "\x04", "{\"a\":2}\n");
    IS("\"long\"", "struct<a:decimal(9,2)>", "\x04", "{\"a\":2.00}\n");
    IS("\"long\"", "struct<a:decimal(3,2)>", "\x14", "!range: a: does not fit in decimal\n");
    IS("\"long\"", "struct<a:int>", "\x80\x80\x80\x80\x20", "!range: a: does not fit in int\n");
    IS("\"int\"", "struct<a:int>", "\x80\x80\x80\x80\x20",
       "!syntax: a: an int of more than 32 bits\n");
    IS("\"long\"", "struct<a:string>", "\x04", "!type: a: wanted string, found long\n");
    IS("\"long\"", "struct<a:long>", "\x80", "!syntax: a: it is cut off\n");
    IS("\"long\"", "struct<a:long>", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
       "!syntax: a: a number of more than 64 bits\n");
    IS("\"long\"", "struct<a:long>", "\x02\x02", "!syntax: record: bytes stand behind its end\n");
}

Test(avro_rows, decimals)
{
#define DECIMAL(p, s)                                                                              \
    "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":" #p ",\"scale\":" #s "}"
    IS(DECIMAL(9, 2), "struct<a:decimal(9,2)>", "\x04\x00\x96", "{\"a\":1.50}\n");
    IS(DECIMAL(9, 2), "struct<a:decimal(9,2)>", "\x02\xff", "{\"a\":-0.01}\n");
    IS(DECIMAL(9, 2), "struct<a:decimal(9,2)>", "\x00", "{\"a\":0.00}\n");
    IS(DECIMAL(9, 2), "struct<a:decimal(38,4)>", "\x02\x07", "{\"a\":0.0700}\n");
    IS(DECIMAL(9, 2), "struct<a:decimal(9,1)>", "\x02\x64", "{\"a\":1.0}\n");
    IS(DECIMAL(9, 2), "struct<a:decimal(9,1)>", "\x02\x63", "!range: a: does not fit in decimal\n");
    IS(DECIMAL(9, 2), "struct<a:decimal(2,2)>", "\x02\x64", "!range: a: does not fit in decimal\n");
    IS(DECIMAL(38, 0), "struct<a:decimal(38,38)>",
       "\x20\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
       "!range: a: does not fit in decimal\n");
    IS(DECIMAL(38, 0), "struct<a:decimal(38,0)>",
       "\x24\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05",
       "{\"a\":5}\n");
    IS(DECIMAL(38, 0), "struct<a:decimal(38,0)>",
       "\x22\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05",
       "!range: a: does not fit in decimal\n");
    IS(DECIMAL(9, 2), "struct<a:string>", "\x02\x64", "!type: a: wanted string, found decimal\n");
    IS("\"bytes\"", "struct<a:decimal(9,2)>", "\x02\x64",
       "!type: a: wanted decimal, found bytes\n");
}

Test(avro_rows, times)
{
#define LOGICAL(type, name) "{\"type\":\"" type "\",\"logicalType\":\"" name "\"}"
    IS(LOGICAL("int", "date"), "struct<a:date>", "\x02", "{\"a\":\"1970-01-02\"}\n");
    IS(LOGICAL("int", "date"), "struct<a:timestamp>", "\x02", "{\"a\":\"1970-01-02T00:00:00\"}\n");
    IS(LOGICAL("int", "date"), "struct<a:int>", "\x02", "{\"a\":1}\n");
    IS(LOGICAL("int", "time-millis"), "struct<a:time>", "\x02", "{\"a\":\"00:00:00.001\"}\n");
    IS(LOGICAL("int", "time-millis"), "struct<a:time>", "\x01", "!range: a: an impossible time\n");
    IS(LOGICAL("long", "timestamp-millis"), "struct<a:timestamptz>", "\x01",
       "{\"a\":\"1969-12-31T23:59:59.999Z\"}\n");
    IS(LOGICAL("long", "timestamp-nanos"), "struct<a:timestamptz>", "\x01",
       "{\"a\":\"1969-12-31T23:59:59.999999Z\"}\n");
    IS(LOGICAL("long", "local-timestamp-micros"), "struct<a:timestamp>", "\x02",
       "{\"a\":\"1970-01-01T00:00:00.000001\"}\n");
    IS(LOGICAL("long", "timestamp-millis"), "struct<a:timestamptz>",
       "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "!range: a: an impossible time\n");
    IS("\"long\"", "struct<a:timestamptz>", "\x02", "!type: a: wanted timestamptz, found long\n");
    IS("\"string\"", "struct<a:date>",
       "\x14"
       "2024-02-29",
       "{\"a\":\"2024-02-29\"}\n");
    const struct weir_avro_time seconds = {1, 1};
    const struct weir_avro_plan_options options = {.times = &seconds, .time_count = 1};
    is_with(FIELD("\"long\""), "struct<a:timestamptz>", "\x02", 1, &options,
            "{\"a\":\"1970-01-01T00:00:01Z\"}\n");
}

Test(avro_rows, texts)
{
    IS("\"string\"", "struct<a:string>", "\x04hi", "{\"a\":\"hi\"}\n");
    IS("\"bytes\"", "struct<a:string>", "\x02\xff", "!encoding: a: not UTF-8\n");
    IS("\"string\"", "struct<a:binary>", "\x02\xff", "{\"a\":\"/w==\"}\n");
    IS("\"string\"", "struct<a:string>", "\x01", "!syntax: a: a text of less than no bytes\n");
    IS("\"string\"", "struct<a:string>", "\x06hi", "!syntax: a: it is cut off\n");
    IS("{\"type\":\"fixed\",\"name\":\"f\",\"size\":2}", "struct<a:fixed(2)>", "hi",
       "{\"a\":\"aGk=\"}\n");
    IS("{\"type\":\"fixed\",\"name\":\"f\",\"size\":2}", "struct<a:fixed(3)>", "hi",
       "!type: a: wanted fixed, found fixed\n");
    IS("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"x\",\"y\"]}", "struct<a:string>", "\x02",
       "{\"a\":\"y\"}\n");
    IS("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"x\",\"y\"]}", "struct<a:string>", "\x04",
       "!syntax: a: a symbol that the enum lacks\n");
    IS("\"string\"", "struct<a:uuid>", "\x02x",
       "!type: a: a text that is none of the column's type\n");
}

Test(avro_rows, unions)
{
    IS("[\"null\",\"int\"]", "struct<a:long>", "\x00", "{\"a\":null}\n");
    IS("[\"null\",\"int\"]", "struct<a:long>", "\x02\x02", "{\"a\":1}\n");
    IS("[\"null\",\"int\"]", "struct<a:long required>", "\x00",
       "!required: a: required, but null\n");
    IS("[\"string\",\"long\"]", "struct<a:long>", "\x00\x02x",
       "!type: a: wanted long, found string\n");
    IS("[\"string\",\"long\"]", "struct<a:long>", "\x02\x02", "{\"a\":1}\n");
    IS("[\"null\",\"int\"]", "struct<a:long>", "\x04",
       "!syntax: a: a branch that the union lacks\n");
}

Test(avro_rows, lists_and_maps)
{
    IS("{\"type\":\"array\",\"items\":\"int\"}", "struct<a:list<int>>",
       "\x04\x02\x04\x01\x02\x06\x00", "{\"a\":[1,2,3]}\n");
    IS("{\"type\":\"array\",\"items\":\"int\"}", "struct<a:list<int>>", "\x00", "{\"a\":[]}\n");
    IS("{\"type\":\"array\",\"items\":\"null\"}", "struct<a:list<int>>", "\x04\x00",
       "{\"a\":[null,null]}\n");
    IS("{\"type\":\"array\",\"items\":\"null\"}", "struct<a:list<int>>",
       "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",
       "!syntax: a: more items than the bytes can hold\n");
    IS("{\"type\":\"map\",\"values\":\"int\"}", "struct<a:map<string,int>>",
       "\x04\x02x\x02\x02y\x04\x00", "{\"a\":{\"x\":1,\"y\":2}}\n");
    IS("{\"type\":\"map\",\"values\":\"int\"}", "struct<a:map<string,int>>",
       "\x04\x02x\x02\x02x\x04\x00", "!syntax: a: a key is there twice\n");
    IS("{\"type\":\"map\",\"values\":\"int\"}", "struct<a:map<int,int>>", "\x00",
       "!type: a: wanted map, found map\n");
}

Test(avro_rows, many_keys_of_a_map)
{
    for (int twice = 0; twice < 2; twice++) {
        char bytes[600] = "\x90\x03"; /* 200 */
        size_t size = 2;
        for (int i = 0; i < 200; i++) {
            bytes[size++] = 2;
            bytes[size++] = (char)(i < 100 ? i : i == 199 && twice ? 7 : 0);
            if (i >= 100 && !(i == 199 && twice)) { /* two bytes: \xc3 and one behind */
                bytes[size - 2] = 4;
                bytes[size - 1] = (char)(i < 150 ? 0xC3 : 0xC4);
                bytes[size++] = (char)(0x80 + (i - 100) % 50);
            }
        }
        bytes[size++] = 0;
        struct weir_type type = type_of("struct<a:map<string,int>>");
        struct weir_avro_rows *rows;
        struct weir_decoded decoded;
        struct weir_avro_record record = {
            plan_of(FIELD("{\"type\":\"map\",\"values\":\"null\"}"), &type, &no_options),
            {(const uint8_t *)bytes, size}};
        OK(weir_avro_rows_new(&account, &type, &rows, error));
        OK(weir_avro_rows_decode(rows, &record, 1, &arena, &decoded, error));
        cr_expect_eq(decoded.batch.count, !twice, "%s",
                     decoded.refusal_count ? decoded.refusals[0].message : "");
        weir_avro_rows_free(rows);
    }
}

#define PERSON                                                                                     \
    "{\"type\":\"record\",\"name\":\"p\",\"fields\":[{\"name\":\"old\",\"type\":\"string\"},"      \
    "{\"name\":\"more\",\"type\":{\"type\":\"record\",\"name\":\"q\",\"fields\":["                 \
    "{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"me\",\"type\":[\"null\",\"q\"]}]}}]}"

Test(avro_rows, fields_are_found_by_name_and_other_names)
{
    const struct weir_avro_alias alias = {2, "old"};
    const struct weir_avro_plan_options options = {.aliases = &alias, .alias_count = 1};
    const char bytes[] = "\x02z\x04\x02\x06\x02\x08\x00";
    is_with(PERSON, "struct<more:struct<x:int>, name:string, none:int>", bytes, sizeof bytes - 1,
            &options, "{\"more\":{\"x\":2},\"name\":\"z\",\"none\":null}\n");
    is_with(PERSON, "struct<more:struct<x:int, y:int required>>", bytes, sizeof bytes - 1, &options,
            "!required: more.y: required, but the schema lacks it\n");
    struct weir_type type = type_of("struct<old:string, more:struct<x:int>>");
    cr_expect_str_eq(weir_avro_plan_unknown(plan_of(PERSON, &type, &no_options)), "me");
    type = type_of("struct<old:string>");
    cr_expect_str_eq(weir_avro_plan_unknown(plan_of(PERSON, &type, &no_options)), "more");
    type = type_of("struct<a:int>");
    cr_expect_null(weir_avro_plan_unknown(plan_of(FIELD("\"long\""), &type, &no_options)));
    is_with("\"string\"", "struct<a:int>", "\x00", 1, &no_options,
            "!type: record: wanted a record, found string\n");
}

Test(avro_rows, columns_that_a_schema_lacks_have_their_default)
{
    const struct weir_avro_default defaults[] = {{1, "7"},   {2, "\"x\""},  {3, "true"},
                                                 {4, "[1]"}, {5, "\"no\""}, {6, "0.5"}};
    const struct weir_avro_plan_options options = {.defaults = defaults, .default_count = 6};
    is_with(FIELD("\"int\""),
            "struct<i:int required, s:string, b:boolean, l:list<int>, n:int, d:double, a:int>",
            "\x02", 1, &options,
            "{\"i\":7,\"s\":\"x\",\"b\":true,\"l\":null,\"n\":null,\"d\":0.5,\"a\":1}\n");
    const struct weir_avro_default wide = {1, "4294967296"};
    const struct weir_avro_plan_options one = {.defaults = &wide, .default_count = 1};
    is_with(FIELD("\"int\""), "struct<i:int, a:int>", "\x02", 1, &one,
            "!range: i: does not fit in int\n");
}

Test(avro_rows, records_that_nest_without_end_are_refused)
{
    char bytes[400];
    memset(bytes, 2, sizeof bytes);
    is_with(PERSON, "struct<old:string>", bytes, sizeof bytes, &no_options,
            "!depth: record: nested too deep\n");
}

Test(avro_rows, a_refused_record_leaves_no_trace)
{
    static const char schema[] =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"l\",\"type\":{\"type\":"
        "\"array\",\"items\":[\"null\",{\"type\":\"record\",\"name\":\"s\",\"fields\":[{\"name\":"
        "\"t\",\"type\":\"string\"},{\"name\":\"n\",\"type\":\"long\"}]}]}},{\"name\":\"b\","
        "\"type\":\"boolean\"}]}";
    struct weir_type type = type_of("struct<l:list<struct<t:string,n:int>>, b:boolean>");
    struct weir_avro_plan *plan = plan_of(schema, &type, &no_options);
    static const char good[] = "\x04\x00\x02\x02x\x02\x00\x01",
                      wide[] = "\x04\x02\x02y\x02\x02\x02z"
                               "\x80\x80\x80\x80\x20\x00\x01",
                      cut[] = "\x02\x02\x02q", flag[] = "\x00\x02", empty[] = "\x00\x00";
    struct weir_avro_record records[] = {{plan, {(const uint8_t *)wide, sizeof wide - 1}},
                                         {plan, {(const uint8_t *)good, sizeof good - 1}},
                                         {plan, {(const uint8_t *)cut, sizeof cut - 1}},
                                         {plan, {(const uint8_t *)flag, sizeof flag - 1}},
                                         {plan, {(const uint8_t *)empty, sizeof empty - 1}},
                                         {plan, {(const uint8_t *)wide, sizeof wide - 1}},
                                         {plan, {(const uint8_t *)good, sizeof good - 1}}};
    struct weir_avro_rows *rows;
    struct weir_decoded decoded;
    struct weir_buffer out = {.account = &account};
    OK(weir_avro_rows_new(&account, &type, &rows, error));
    for (int round = 0; round < 2; round++) {
        weir_buffer_clear(&out);
        OK(weir_avro_rows_decode(rows, records, 7, &arena, &decoded, error));
        OK(weir_json_write_rows(&decoded.batch, &out, error));
        OK(weir_buffer_append(&out, "", 1, error));
        cr_expect_str_eq((const char *)out.data,
                         "{\"l\":[null,{\"t\":\"x\",\"n\":1}],\"b\":true}\n"
                         "{\"l\":[],\"b\":false}\n"
                         "{\"l\":[null,{\"t\":\"x\",\"n\":1}],\"b\":true}\n");
        cr_expect_eq(decoded.refusal_count, 4);
        cr_expect(decoded.source[0] == 1 && decoded.source[1] == 4 && decoded.source[2] == 6);
    }
    weir_avro_rows_free(rows);
    weir_buffer_done(&out);
}

Test(avro_rows, a_schema_that_multiplies_is_refused)
{
    char schema[8000] =
        "{\"type\":\"record\",\"name\":\"r0\",\"fields\":[{\"name\":\"a\",\"type\":[";
    char columns[800] = "int", inner[800];
    for (int i = 1; i <= 8; i++)
        sprintf(schema + strlen(schema),
                "%s{\"type\":\"record\",\"name\":\"r%d\",\"fields\":[{\"name\":\"a\",\"type\":["
                "\"r0\"%s]}]}",
                i > 1 ? "," : "", i,
                i == 1   ? ""
                : i == 2 ? ",\"r1\""
                : i == 3 ? ",\"r1\",\"r2\""
                         : ",\"r1\",\"r2\",\"r3\"");
    strcat(schema, "]}]}");
    for (int i = 0; i < 20; i++) {
        snprintf(inner, sizeof inner, "struct<a:%s>", columns);
        strcpy(columns, inner);
    }
    struct weir_type type = type_of(columns);
    struct weir_avro_type *writer;
    struct weir_avro_plan *plan;
    OK(weir_avro_schema_parse(&arena, schema, strlen(schema), &writer, error));
    cr_expect_eq(weir_avro_plan_make(&arena, writer, &type, &no_options, &plan, NULL),
                 WEIR_UNSUPPORTED);
}

static void columns_are(const char *schema, const char *wanted)
{
    struct weir_avro_type *writer;
    struct weir_type type;
    struct weir_buffer out = {.account = &account};
    OK(weir_avro_schema_parse(&arena, schema, strlen(schema), &writer, error));
    OK(weir_avro_columns(&arena, writer, &type, error));
    OK(weir_type_print(&type, &out, error));
    cr_expect_str_eq((const char *)out.data, wanted);
    weir_buffer_done(&out);
}

Test(avro_rows, columns_of_a_schema)
{
    columns_are(FIELD("\"long\""), "struct<a:long>");
    columns_are(FIELD("[\"null\",\"int\",\"long\"]"), "struct<a:long>");
    columns_are(FIELD("[\"float\",\"long\"]"), "struct<a:double>");
    columns_are(FIELD("[\"string\",\"long\"]"), "struct<>");
    columns_are(FIELD(DECIMAL(9, 2)), "struct<a:decimal(9,2)>");
    columns_are(FIELD(LOGICAL("long", "timestamp-nanos")), "struct<a:timestamptz>");
    columns_are(FIELD("{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"bytes\"}}"),
                "struct<a:map<string, list<binary>>>");
    columns_are(PERSON, "struct<old:string, more:struct<x:int>>");
    columns_are("\"string\"", "struct<>");
}

/* ---- container files, piece by piece ---- */

Test(avro_rows, blocks_come_in_pieces)
{
    struct weir_buffer file = {.account = &account};
    struct weir_avro_writer writer;
    static const uint8_t sync[16] = "0123456789abcdef";
    OK(weir_avro_writer_begin(&writer, &file, "\"long\"", NULL, 0, true, sync, error));
    for (int i = 0; i < 40000; i++) {
        OK(weir_avro_put_long(&writer.block, i, error));
        OK(weir_avro_writer_record(&writer, error));
    }
    OK(weir_avro_writer_finish(&writer, error));
    weir_avro_writer_done(&writer);
    for (size_t piece = 1; piece < file.size; piece = piece * 3 + 1) {
        struct weir_avro_blocks *blocks = NULL;
        struct weir_bytes values;
        uint64_t count, total = 0;
        for (size_t at = 0, have = 0, used; at < file.size;) {
            have = have + piece > file.size - at ? file.size - at : have + piece;
            uint8_t *exact = malloc(have);
            bool last = at + have == file.size;
            memcpy(exact, file.data + at, have);
            if (!blocks) {
                OK(weir_avro_blocks_open(&account, exact, have, last, &blocks, &used, error));
            } else {
                OK(weir_avro_blocks_next(blocks, exact, have, last, &values, &count, &used, error));
                total += used ? count : 0;
            }
            free(exact);
            at += used;
            have -= used;
        }
        cr_expect_eq(total, 40000);
        cr_expect_eq(weir_avro_blocks_schema(blocks).size, 6);
        weir_avro_blocks_free(blocks);
    }
    weir_buffer_done(&file);
}

/* ---- any bytes ---- */

static uint64_t state = 88172645463325252u;
static uint32_t roll(uint32_t bound)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % bound;
}

Test(avro_rows, random_bytes)
{
    static const char schema[] =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
        "{\"name\":\"a\",\"type\":[\"null\",\"int\",\"string\"]},"
        "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"r\"]}},"
        "{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":" DECIMAL(
            9,
            2) "}},"
               "{\"name\":\"s\",\"type\":{\"type\":\"array\",\"items\":\"r\"}},"
               "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"x\"]}}]}";
    struct weir_type type = type_of(
        "struct<a:long, l:list<decimal(12,3)>, m:map<string,struct<a:int,l:list<decimal(9,2)>>>, "
        "e:string>");
    struct weir_avro_plan *plan = plan_of(schema, &type, &no_options);
    struct weir_avro_rows *rows;
    uint32_t good = 0;
    OK(weir_avro_rows_new(&account, &type, &rows, error));
    struct weir_arena each;
    weir_arena_init(&each, &account);
    for (int round = 0; round < 3000; round++) {
        struct weir_avro_record records[8];
        struct weir_decoded decoded;
        uint32_t count = 1 + roll(8);
        for (uint32_t i = 0; i < count; i++) {
            size_t size = roll(30);
            uint8_t *bytes = malloc(size ? size : 1);
            for (size_t b = 0; b < size; b++)
                bytes[b] = (uint8_t)(roll(4) ? 0 : roll(2) ? roll(6) : roll(256));
            records[i] = (struct weir_avro_record){plan, {bytes, size}};
        }
        OK(weir_avro_rows_decode(rows, records, count, &each, &decoded, error));
        cr_assert_eq(decoded.batch.count + decoded.refusal_count, count);
        for (uint32_t c = 0; c < type.child_count; c++)
            cr_assert_eq(decoded.batch.columns[c].count, decoded.batch.count);
        good += decoded.batch.count;
        for (uint32_t i = 0; i < count; i++)
            free((void *)(uintptr_t)records[i].bytes.data);
        weir_arena_reset(&each);
    }
    cr_expect_gt(good, 100);
    weir_arena_done(&each);
    weir_avro_rows_free(rows);
}
