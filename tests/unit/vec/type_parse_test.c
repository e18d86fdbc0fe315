/* Type strings: every type, there and back; every mistake with its position and its hint. */
#include "engine/base/limits.h"
#include "engine/vec/type.h"

#include <criterion/criterion.h>
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
}

TestSuite(type_parse, .init = setup, .fini = teardown);

static void expect_round(const char *text, const char *wanted)
{
    struct weir_type type, again;
    struct weir_error error = {0};
    cr_assert_eq(weir_type_parse(&arena, text, &type, &error), WEIR_OK, "%s: %s", text, error.text);
    WEIR_AUTO(weir_buffer) out = {.account = &account};
    cr_assert_eq(weir_type_print(&type, &out, &error), WEIR_OK);
    cr_assert_str_eq((char *)out.data, wanted);
    cr_assert_eq(weir_type_parse(&arena, wanted, &again, &error), WEIR_OK);
    cr_assert(weir_type_equal(&type, &again, false));
}

Test(type_parse, there_and_back)
{
    static const char *const same[] = {
        "boolean",
        "int",
        "long",
        "float",
        "double",
        "decimal(9,2)",
        "decimal(38,38)",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "string",
        "uuid",
        "fixed(16)",
        "binary",
        "list<int>",
        "list<int required>",
        "map<string, long>",
        "map<int, list<string> required>",
        "struct<a:int, b:struct<c:string required, d:map<uuid, date>> required>"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        expect_round(same[i], same[i]);
    expect_round(" decimal ( 10 ) ", "decimal(10,0)");
    expect_round("fixed[7]", "fixed(7)");
    expect_round("struct< mount: string,total_gb :double >",
                 "struct<mount:string, total_gb:double>");
    expect_round("map<string required, long>", "map<string, long>");
    expect_round("struct<\"a b\":int, \"x\\\"y\":int, \"int\":int>",
                 "struct<\"a b\":int, \"x\\\"y\":int, int:int>");
    expect_round("struct<größe:int, required:int required>",
                 "struct<größe:int, required:int required>");
}

Test(type_parse, column_required)
{
    struct weir_type type;
    bool required = false;
    cr_assert_eq(weir_type_parse_column(&arena, "string required", &type, &required, NULL, NULL),
                 WEIR_OK);
    cr_assert(required && type.id == WEIR_STRING);
    cr_assert_eq(weir_type_parse_column(&arena, "list<int required>", &type, &required, NULL, NULL),
                 WEIR_OK);
    cr_assert(!required && type.children[0].required);
    struct weir_error error;
    cr_assert_eq(weir_type_parse(&arena, "string required", &type, &error), WEIR_USAGE);
}

Test(type_parse, mistakes)
{
    static const struct {
        const char *text;
        size_t at;
        const char *says, *hint;
    } cases[] = {
        {"", 0, "expected a type, but there is the end", ""},
        {"strng", 0, "unknown type 'strng'", "did you mean 'string'?"},
        {"String", 0, "unknown type 'String'", "did you mean 'string'?"},
        {"list<bigint>", 5, "unknown type 'bigint'", "did you mean 'long'?"},
        {"struct<a:int, b:datetime>", 16, "unknown type 'datetime'", "did you mean 'timestamptz'?"},
        {"decimal", 7,
         "expected '(' and precision and scale after decimal, as in decimal(9,2), but there is the "
         "end",
         ""},
        {"decimal(39,2)", 8, "the precision of a decimal must be a number from 1 to 38", ""},
        {"decimal(9,10)", 10, "the scale of a decimal must be a number from 0 to 9", ""},
        {"decimal(9,2", 11, "expected ')', but there is the end", ""},
        {"fixed(0)", 6, "the length of fixed must be a number from 1 to 1048576", ""},
        {"fixed(99999999999999999999)", 6, "the length of fixed must be a number from 1 to 1048576",
         ""},
        {"fixed(4]", 7, "expected ')', but there is ']'", ""},
        {"string requird", 7, "unexpected 'requird' after the type",
         "only the word 'required' may follow a type"},
        {"list<string", 11, "expected '>', but there is the end", ""},
        {"list<string>>", 12, "expected the end of the type, but there is '>'", ""},
        {"map<string>", 10, "expected ',' and the value's type, but there is '>'", ""},
        {"struct<>", 7, "expected a field name, but there is '>'", ""},
        {"struct<a int>", 9, "expected ':' and a type after the field name, but there is 'i'", ""},
        {"struct<a:int, a:int>", 14, "field 'a' twice in one struct", ""},
        {"struct<a:int b:int>", 13, "unexpected 'b' after the type",
         "only the word 'required' may follow a type"},
        {"struct<\"a:int>", 7, "the quoted field name does not end", ""},
        {"int\x01", 3, "expected the end of the type, but there is a control character", ""},
        {"struct<\xff:int>", 7, "the field name is not UTF-8", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_type type;
        struct weir_error error = {0};
        bool required;
        size_t at = SIZE_MAX;
        cr_assert_eq(weir_type_parse_column(&arena, cases[i].text, &type, &required, &at, &error),
                     WEIR_USAGE, "%s", cases[i].text);
        cr_expect_str_eq(error.text, cases[i].says, "%s: %s", cases[i].text, error.text);
        cr_expect_str_eq(error.hint, cases[i].hint, "%s: %s", cases[i].text, error.hint);
        cr_expect_eq(at, cases[i].at, "%s: %zu", cases[i].text, at);
    }
}

Test(type_parse, deep_and_wide)
{
    char text[65536] = "";
    for (int i = 0; i < WEIR_SCHEMA_DEPTH_MAX - 1; i++)
        strcat(text, "list<");
    strcat(text, "int");
    for (int i = 0; i < WEIR_SCHEMA_DEPTH_MAX - 1; i++)
        strcat(text, ">");
    struct weir_type type;
    struct weir_error error;
    cr_assert_eq(weir_type_parse(&arena, text, &type, &error), WEIR_OK, "%s", error.text);
    text[0] = 0;
    for (int i = 0; i < 10000; i++)
        memcpy(text + 5 * i, "list<", 6);
    cr_assert_eq(weir_type_parse(&arena, text, &type, &error), WEIR_USAGE);
    cr_assert(strstr(error.text, "nested deeper"));
}
