/* CSV: cutting, decoding, refusing, sniffing; hostile and random bytes. */
#include "formats/csv/csv.h"

#include "engine/base/text.h"

#include <criterion/criterion.h>
#include <inttypes.h>
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
TestSuite(csv, .init = setup, .fini = teardown);

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct weir_error ok_error_ = {0}, *error = &ok_error_;                                    \
        (void)error;                                                                               \
        weir_status ok_status_ = (call);                                                           \
        cr_assert_eq(ok_status_, WEIR_OK, "%s: %s", weir_status_name(ok_status_), ok_error_.text); \
    } while (0)

static const struct weir_csv_dialect plain = {
    .delimiter = ',', .quote = '"', .escape = '"', .newline = '\n', .header = 0, .null_text = ""};

static void print(struct weir_buffer *out, const struct weir_vector *vector, uint32_t row)
{
    char text[64];
    if (!weir_vector_valid(vector, row)) {
        OK(weir_buffer_print(out, error, "null"));
        return;
    }
    switch (vector->type->id) {
    case WEIR_BOOLEAN:
        OK(weir_buffer_print(out, error, weir_bit_get(vector->values, row) ? "true" : "false"));
        return;
    case WEIR_INT:
    case WEIR_DATE:
        OK(weir_buffer_print(out, error, "%" PRId32, ((const int32_t *)vector->values)[row]));
        return;
    case WEIR_DOUBLE: weir_print_double(text, ((const double *)vector->values)[row]); break;
    case WEIR_FLOAT: weir_print_double(text, (double)((const float *)vector->values)[row]); break;
    case WEIR_DECIMAL:
        weir_print_decimal(text, ((const weir_int128 *)vector->values)[row], vector->type->scale);
        break;
    case WEIR_STRING:
    case WEIR_BINARY:
        OK(weir_buffer_print(out, error, "<%.*s>", vector->offsets[row + 1] - vector->offsets[row],
                             (const char *)vector->values + vector->offsets[row]));
        return;
    case WEIR_UUID: weir_print_uuid(text, (const uint8_t *)vector->values + row * 16); break;
    case WEIR_FIXED:
        weir_print_hex(text, (const uint8_t *)vector->values + row * vector->type->length,
                       vector->type->length);
        break;
    default: weir_print_int64(text, ((const int64_t *)vector->values)[row]);
    }
    OK(weir_buffer_print(out, error, "%s", text));
}

/* The text as rows "a|b" and refusals "!record reason position: message", one a line. */
static char *decode(const char *types, const char *data, size_t size,
                    const struct weir_csv_dialect *dialect, const uint32_t *fields)
{
    struct weir_csv_dialect used_dialect = *dialect;
    struct weir_buffer out = {.account = &account};
    struct weir_csv_decoder *decoder;
    struct weir_bytes records[64];
    struct weir_decoded decoded;
    struct weir_type schema;
    char *text;
    size_t used;
    OK(weir_type_parse(&arena, types, &schema, error));
    if (!used_dialect.column_count)
        used_dialect.column_count = schema.child_count;
    uint32_t count = weir_csv_split(&used_dialect, (const uint8_t *)data, size, true, records, 64,
                                    &used);
    cr_assert_eq(used, size);
    OK(weir_csv_decoder_new(&account, &schema, fields, &used_dialect, &decoder, error));
    OK(weir_csv_decode(decoder, records, count, &arena, &decoded, error));
    cr_assert_eq(decoded.batch.count + decoded.refusal_count, count);
    for (uint32_t row = 0; row < decoded.batch.count; row++)
        for (uint32_t c = 0; c < schema.child_count; c++) {
            print(&out, &decoded.batch.columns[c], row);
            OK(weir_buffer_print(&out, error, c + 1 < schema.child_count ? "|" : "\n"));
        }
    for (uint32_t i = 0; i < decoded.refusal_count; i++)
        OK(weir_buffer_print(&out, error, "!%u %s %d: %s\n", decoded.refusals[i].record,
                             weir_reason_name(decoded.refusals[i].reason),
                             (int)decoded.refusals[i].position, decoded.refusals[i].message));
    OK(weir_arena_copy(&arena, out.data, out.size, &text, error));
    weir_buffer_done(&out);
    weir_csv_decoder_free(decoder);
    return text;
}

static void is(const char *types, const char *data, const char *wanted)
{
    char *got = decode(types, data, strlen(data), &plain, NULL);
    cr_expect_str_eq(got, wanted, "%s\ngot:\n%s\nwanted:\n%s", data, got, wanted);
}

Test(csv, rfc_4180)
{
    is("struct<a:string, b:string>", "x,y\r\n1,2\r\n", "<x>|<y>\n<1>|<2>\n");
    is("struct<a:string, b:string>", "\"a,b\",\"c\nd\"\r\n\"e\"\"f\",\"\"\n",
       "<a,b>|<c\nd>\n<e\"f>|<>\n");
    is("struct<a:string, b:string>", "a\"b,c\"\n", "<a\"b>|<c\">\n");
    is("struct<a:string, b:string>", "a,b\n\n\r\nc,d", "<a>|<b>\n<c>|<d>\n");
    is("struct<a:string, b:string>", " x , \"y\"\n", "< x >|< \"y\">\n");
    is("struct<a:string, b:string>", ",\n\"\",\"\"\n", "null|null\n<>|<>\n");
    is("struct<a:string>", "x\n\ny\n", "<x>\nnull\n<y>\n");
    is("struct<a:string>", "\"\"\"\"\n\"\"\"x\"\"\"\n", "<\">\n<\"x\">\n");
}

Test(csv, values_of_every_type)
{
    is("struct<a:boolean, b:boolean>", "true,F\n1,0\nT,\nyes,true\n",
       "true|false\ntrue|false\ntrue|null\n!3 type 0: a: wanted boolean\n");
    is("struct<a:int, b:long>",
       "1, 2 \n-2147483648,+9223372036854775807\n2147483648,1\nx,1\n1.5,1\n",
       "1|2\n-2147483648|9223372036854775807\n!2 range 0: a: does not fit in int\n!3 type 0: a: "
       "wanted int\n!4 type 0: a: wanted int\n");
    is("struct<a:double, b:float>", ".5,5.\n1e3,-0.25\nNaN,-inf\n,\"\"\n1e,1\n",
       "0.5|5\n1000|-0.25\nnan|-inf\nnull|null\n!4 type 0: a: wanted double\n");
    is("struct<a:decimal(5,2)>", "1.25\n007.5\n-999.99\n1000\n1.234\nabc\n",
       "1.25\n7.50\n-999.99\n!3 range 0: a: does not fit in decimal\n!4 range 0: a: does not fit "
       "in "
       "decimal\n!5 type 0: a: wanted decimal\n");
    is("struct<a:date, b:time>", "1970-01-02,00:00:01\n1969-02-30,1\n",
       "1|1000000\n!1 range 0: a: does not fit in date\n");
    is("struct<a:timestamp, b:timestamptz>",
       "1970-01-01 00:00:01,1970-01-01T01:00:00+01:00\n1970-01-02,1970-01-01 00:00:02\n",
       "1000000|0\n86400000000|2000000\n");
    is("struct<a:uuid, b:binary, c:fixed(2)>",
       "01234567-89ab-cdef-0123-456789abcdef,aGk=,aGk=\n01234567-89ab-cdef-0123-456789abcdef,aGk=,"
       "aGkh\nx,y,z\n",
       "01234567-89ab-cdef-0123-456789abcdef|<hi>|6869\n!1 range 42: c: does not fit in fixed\n!2 "
       "type 0: a: wanted uuid\n");
}

Test(csv, what_is_refused_costs_itself_only)
{
    is("struct<a:string, b:int required, c:boolean>",
       "one,1,true\ntwo,x,true\nthree,,true\nfour,4\nfive,5,true,6\nsix,6,maybe\nseven,7,false\n",
       "<one>|1|true\n<seven>|7|false\n!1 type 4: b: wanted int\n!2 required 6: b: required, but "
       "null\n!3 syntax -1: 2 fields, wanted 3\n!4 syntax -1: 4 fields, wanted 3\n!5 type 6: c: "
       "wanted "
       "boolean\n");
    is("struct<a:string, b:string>", "\"x\"y,z\nok,ok\n\"open,\nok,ok\n",
       "<ok>|<ok>\n!0 syntax 3: no delimiter behind a closing quote\n!2 syntax 0: a quote is not "
       "closed\n");
    is("struct<a:string, b:string>", "ok,\xff\xfe\nok,\xc3\xa4\n",
       "<ok>|<\xc3\xa4>\n!0 encoding 3: b: not UTF-8\n");
}

Test(csv, dialects)
{
    struct weir_csv_dialect dialect = plain;
    dialect.delimiter = ';';
    dialect.quote = '\'';
    dialect.escape = '\\';
    dialect.null_text = "NULL";
    const char *text = "'a;\\'b\\\\';NULL\n;'NULL'\n";
    cr_expect_str_eq(decode("struct<a:string, b:string>", text, strlen(text), &dialect, NULL),
                     "<a;'b\\>|null\n<>|<NULL>\n");
    dialect = plain;
    dialect.newline = '\r';
    text = "1,2\r3,4";
    cr_expect_str_eq(decode("struct<a:int, b:int>", text, strlen(text), &dialect, NULL),
                     "1|2\n3|4\n");
    dialect = plain;
    dialect.column_count = 3;
    text = "1,2,3\n4,5,6\n";
    cr_expect_str_eq(
        decode("struct<c:int, a:int>", text, strlen(text), &dialect, (const uint32_t[]){2, 0}),
        "3|1\n6|4\n");
}

Test(csv, no_column_that_is_nested_or_not_there)
{
    struct weir_csv_decoder *decoder = NULL;
    struct weir_csv_dialect dialect = plain;
    struct weir_error refused = {0};
    struct weir_type schema;
    dialect.column_count = 1;
    OK(weir_type_parse(&arena, "struct<a:list<int>>", &schema, error));
    cr_expect_eq(weir_csv_decoder_new(&account, &schema, NULL, &dialect, &decoder, &refused),
                 WEIR_USAGE);
    cr_expect(strstr(refused.text, "column a"), "%s", refused.text);
    OK(weir_type_parse(&arena, "struct<a:int, b:int>", &schema, error));
    cr_expect_eq(weir_csv_decoder_new(&account, &schema, NULL, &dialect, &decoder, &refused),
                 WEIR_USAGE);
    cr_expect_null(decoder);
    weir_csv_decoder_free(NULL);
}

/* ---- sniffing ---- */

static void sniffs(const char *data, const char *wanted)
{
    struct weir_csv_dialect dialect;
    struct weir_type schema;
    struct weir_buffer out = {.account = &account};
    OK(weir_csv_sniff(&arena, (const uint8_t *)data, strlen(data), true, NULL, &dialect, &schema,
                      error));
    OK(weir_buffer_print(&out, error, "%c%c%c%d ", dialect.delimiter, dialect.quote, dialect.escape,
                         dialect.header));
    OK(weir_type_print(&schema, &out, error));
    cr_expect_str_eq((char *)out.data, wanted, "%s\ngot:    %s\nwanted: %s", data, (char *)out.data,
                     wanted);
    cr_expect_eq(dialect.column_count, schema.child_count);
    weir_buffer_done(&out);
}

Test(csv, finds_out_how_a_file_is_written)
{
    sniffs("id,name\n1,x\n2,y\n", ",\"\"1 struct<id:long, name:string>");
    sniffs("1,x\n2,y\n", ",\"\"0 struct<column0:long, column1:string>");
    sniffs("a;b;c\n1;2,5;x\n2;3,5;y\n", ";\"\"1 struct<a:long, b:string, c:string>");
    sniffs("a\tb\n1\t2.5\n", "\t\"\"1 struct<a:long, b:double>");
    sniffs("a|b\n\"x|y\"|2020-01-01\n\"z\"|2020-01-02\n", "|\"\"1 struct<a:string, b:date>");
    sniffs("t,z\n2020-01-01 10:00:00,2020-01-01T10:00:00Z\n2020-01-01,2020-01-01T10:00:00+02:00\n",
           ",\"\"1 struct<t:timestamp, z:timestamptz>");
    sniffs("a,b,c\ntrue,1,007\nfalse,2.5,1\n,,\n", ",\"\"1 struct<a:boolean, b:double, c:string>");
    sniffs("a,a,,b\n1,2,3,4\n", ",\"\"0 struct<column0:string, column1:string, column2:long, "
                                "column3:string>");
    sniffs("a,a,b\n1,2,3\n", ",\"\"1 struct<a:long, a_1:long, b:long>");
    sniffs("'a';'b'\n'x;y';'1'\n'z';'2'\n", ";''1 struct<a:string, b:long>");
    sniffs("a,b\n\"x\\\"y, z\",1\n\"w\",2\n", ",\"\\1 struct<a:string, b:long>");
    sniffs("one\ntwo\nthree\n", ",\"\"1 struct<one:string>");
    sniffs("\xef\xbb\xbf"
           "a,b\n1,2\n",
           ",\"\"1 struct<a:long, b:long>");
    sniffs("a,b\r1,2\r", ",\"\"1 struct<a:long, b:long>");
    sniffs("name,city\nann,rome\nbob,oslo\n", ",\"\"1 struct<name:string, city:string>");
}

Test(csv, nothing_is_no_table)
{
    struct weir_csv_dialect dialect;
    struct weir_type schema;
    cr_expect_eq(
        weir_csv_sniff(&arena, (const uint8_t *)"", 0, true, NULL, &dialect, &schema, NULL),
        WEIR_USAGE);
}

/* ---- headers ---- */

static struct weir_bytes text_of(const char *text)
{
    return (struct weir_bytes){(const uint8_t *)text, strlen(text)};
}

Test(csv, names_of_a_header)
{
    const char **names;
    uint32_t count;
    OK(weir_csv_names(&arena, &plain, text_of("id,\"a \"\"b\"\", c\", x ,"), &names, &count,
                      error));
    cr_assert_eq(count, 4);
    cr_expect_str_eq(names[0], "id");
    cr_expect_str_eq(names[1], "a \"b\", c");
    cr_expect_str_eq(names[2], " x ");
    cr_expect_str_eq(names[3], "");
}

Test(csv, names_that_are_none)
{
    const char **names;
    uint32_t count;
    struct weir_error error = {0};
    cr_expect_eq(weir_csv_names(&arena, &plain, text_of("a,\"b"), &names, &count, &error),
                 WEIR_CORRUPT);
    cr_expect(strstr(error.text, "byte 2"), "%s", error.text);
    cr_expect_eq(weir_csv_names(&arena, &plain, text_of("a,\"b\"c"), &names, &count, &error),
                 WEIR_CORRUPT);
    cr_expect_eq(weir_csv_names(&arena, &plain, text_of("a,\xff"), &names, &count, &error),
                 WEIR_CORRUPT);
    struct weir_bytes zero = {(const uint8_t *)"a\0b", 3};
    cr_expect_eq(weir_csv_names(&arena, &plain, zero, &names, &count, &error), WEIR_CORRUPT);
}

Test(csv, a_column_without_a_field_is_null)
{
    struct weir_csv_dialect dialect = plain;
    dialect.column_count = 1;
    for (int required = 0; required < 2; required++) {
        struct weir_type schema;
        struct weir_csv_decoder *decoder;
        struct weir_decoded decoded;
        struct weir_bytes record = text_of("7");
        OK(weir_type_parse(
            &arena, required ? "struct<a:string required, b:int>" : "struct<a:string, b:int>",
            &schema, error));
        OK(weir_csv_decoder_new(&account, &schema, (const uint32_t[]){WEIR_CSV_NO_FIELD, 0},
                                &dialect, &decoder, error));
        OK(weir_csv_decode(decoder, &record, 1, &arena, &decoded, error));
        cr_expect_eq(decoded.batch.count, required ? 0 : 1);
        cr_expect_eq(decoded.refusal_count, required ? 1 : 0);
        if (required)
            cr_expect_eq(decoded.refusals[0].reason, WEIR_REASON_REQUIRED);
        else
            cr_expect(!weir_vector_valid(&decoded.batch.columns[0], 0));
        weir_csv_decoder_free(decoder);
    }
}

Test(csv, impossible_times_are_out_of_range)
{
    static const struct {
        const char *type, *text;
        enum weir_reason reason;
    } cases[] = {{"date", "2024-02-30", WEIR_REASON_RANGE},
                 {"date", "2024-2-3", WEIR_REASON_TYPE},
                 {"time", "25:00:00", WEIR_REASON_RANGE},
                 {"timestamp", "2024-13-01 00:00:00", WEIR_REASON_RANGE},
                 {"timestamp", "2024-12-01T00:00:00Z", WEIR_REASON_TYPE},
                 {"timestamptz", "2024-12-01t24:01:00Z", WEIR_REASON_RANGE},
                 {"timestamptz", "soon", WEIR_REASON_TYPE}};
    struct weir_csv_dialect dialect = plain;
    dialect.column_count = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        struct weir_type schema;
        struct weir_csv_decoder *decoder;
        struct weir_decoded decoded;
        struct weir_bytes record = text_of(cases[i].text);
        snprintf(text, sizeof text, "struct<a:%s>", cases[i].type);
        OK(weir_type_parse(&arena, text, &schema, error));
        OK(weir_csv_decoder_new(&account, &schema, NULL, &dialect, &decoder, error));
        OK(weir_csv_decode(decoder, &record, 1, &arena, &decoded, error));
        cr_assert_eq(decoded.refusal_count, 1, "%s", cases[i].text);
        cr_expect_eq(decoded.refusals[0].reason, cases[i].reason, "%s", cases[i].text);
        weir_csv_decoder_free(decoder);
    }
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

Test(csv, random_bytes_are_cut_the_same_in_pieces)
{
    static const char alphabet[] = "a1,;\"\"'\\\n\r\x00\xc3 ";
    struct weir_csv_dialect dialect = plain;
    for (int round = 0; round < 3000; round++) {
        size_t size = roll(60), used, at = 0;
        uint8_t *data = malloc(size + 1);
        struct weir_bytes whole[64], pieces[64];
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)alphabet[roll(sizeof alphabet - 1)];
        uint8_t *exact = malloc(size ? size : 1); /* so that reading beyond is seen */
        memcpy(exact, data, size);
        dialect.escape = roll(2) ? '"' : '\\';
        dialect.newline = roll(4) ? '\n' : '\r';
        dialect.column_count = 1 + roll(3);
        uint32_t count = weir_csv_split(&dialect, exact, size, true, whole, 64, &used), some = 0;
        cr_assert_eq(used, size);
        while (at < size) {
            size_t piece = 1 + roll((uint32_t)(size - at));
            for (;; piece++) { /* more bytes until a record is whole */
                cr_assert_leq(piece, size - at);
                some += weir_csv_split(&dialect, exact + at, piece, at + piece == size,
                                       pieces + some, 64 - some, &used);
                if (used)
                    break;
            }
            at += used;
        }
        cr_assert_eq(some, count);
        for (uint32_t i = 0; i < count; i++)
            cr_assert(whole[i].data == pieces[i].data && whole[i].size == pieces[i].size);
        struct weir_csv_dialect found;
        struct weir_type schema;
        (void)!weir_csv_sniff(&arena, exact, size, roll(2), NULL, &found, &schema, NULL);
        decode("struct<a:string, b:int, c:double>", (char *)exact, size, &dialect,
               (const uint32_t[]){0, 0, 0});
        weir_arena_reset(&arena);
        free(data);
        free(exact);
    }
}
