/* Conditions over decimals, dates, times and fields of structs, through the public functions only.
 * The batch is decoded from JSON. */
#include "engine/expr/expr.h"
#include "formats/json/json.h"

#include <criterion/criterion.h>
#include <string.h>

static struct weir_account account;
static struct weir_arena arena;
static struct weir_error error;

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
}
static void teardown(void)
{
    weir_arena_done(&arena);
}
TestSuite(expr_types, .init = setup, .fini = teardown);

static struct weir_field inner_fields[] = {{.name = "k", .id = 11, .type = {.id = WEIR_INT}},
                                           {.name = "name", .id = 12, .type = {.id = WEIR_STRING}}};
static struct weir_field outer_fields[] = {
    {.name = "n", .id = 9, .type = {.id = WEIR_LONG}},
    {.name = "in",
     .id = 10,
     .type = {.id = WEIR_STRUCT, .child_count = 2, .children = inner_fields}}};
static struct weir_field fields[] = {
    {.name = "p", .id = 1, .type = {.id = WEIR_DECIMAL, .precision = 9, .scale = 2}},
    {.name = "q", .id = 2, .type = {.id = WEIR_DECIMAL, .precision = 38, .scale = 10}},
    {.name = "day", .id = 3, .type = {.id = WEIR_DATE}},
    {.name = "at", .id = 4, .type = {.id = WEIR_TIMESTAMPTZ}},
    {.name = "s",
     .id = 5,
     .type = {.id = WEIR_STRUCT, .child_count = 2, .children = outer_fields}}};
static const struct weir_type schema = {.id = WEIR_STRUCT, .child_count = 5, .children = fields};

static const char *const records[] = {
    "{\"p\": 1.50, \"q\": 1.5, \"day\": \"2026-11-23\", \"at\": \"2026-11-23T01:30:00+02:00\", "
    "\"s\": {\"n\": 4, \"in\": {\"k\": 7, \"name\": \"x\"}}}",
    "{}",
    "{\"p\": -9999999.99, \"q\": 1234567890123456789012345678.0123456789, \"day\": \"1969-12-31\", "
    "\"at\": \"1969-12-31T23:59:59.999999Z\", \"s\": {\"n\": -1, \"in\": {\"k\": null}}}",
    "{\"p\": 0.01, \"q\": 0, \"day\": \"9999-12-31\", \"at\": \"2026-11-23T00:00:00Z\", \"s\": "
    "{\"in\": null}}"};
enum { ROWS = sizeof records / sizeof records[0] };

/* `t`, `f`, `n` = true, false, unknown; `e` = the row failed. */
static weir_status truth(const char *text, char ret[ROWS + 1])
{
    struct weir_bytes raw[ROWS];
    struct weir_json_options options = {0};
    struct weir_json_decoder *decoder;
    struct weir_decoded decoded;
    struct weir_expr *expr;
    struct weir_vector result;
    uint8_t *failed;
    for (int i = 0; i < ROWS; i++)
        raw[i] = (struct weir_bytes){(const uint8_t *)records[i], strlen(records[i])};
    WEIR_TRY(weir_json_decoder_new(&account, &schema, &options, &decoder, &error));
    weir_status status = weir_json_decode(decoder, raw, ROWS, &arena, &decoded, &error);
    weir_json_decoder_free(decoder);
    WEIR_TRY(status);
    cr_assert_eq(decoded.batch.count, ROWS);
    WEIR_TRY(weir_expr_compile(&arena, &schema, text, &expr, &error));
    WEIR_TRY(weir_expr_evaluate(expr, &decoded.batch, &arena, &result, &failed, &error));
    for (uint32_t i = 0; i < ROWS; i++)
        ret[i] = failed && weir_bit_get(failed, i) ? 'e'
                 : !weir_vector_valid(&result, i)  ? 'n'
                 : weir_bit_get(result.values, i)  ? 't'
                                                   : 'f';
    ret[ROWS] = '\0';
    return WEIR_OK;
}

static const char *const table[][2] = {{"p = 1.5", "tnff"},
                                       {"p = q", "tnff"},
                                       {"p < q", "fntf"},
                                       {"p > 0", "tnft"},
                                       {"p between 0.01 and 1.50", "tnft"},
                                       {"p in (1.5, 0.010)", "tnft"},
                                       {"p + 0.005 > 0.0149", "tnft"},
                                       {"p * 2 = 3", "tnff"},
                                       {"q = 1234567890123456789012345678.0123456789", "fntf"},
                                       {"q > 1234567890123456789012345678.0123456788", "fntf"},
                                       {"q = 1234567890123456789012345678.0123456788", "fnff"},
                                       {"day = '2026-11-23'", "tnff"},
                                       {"day < date '1970-01-01'", "fntf"},
                                       {"day between '1969-12-31' and '2026-11-23'", "tntf"},
                                       {"day > '9999-12-30'", "fnft"},
                                       {"at = timestamptz '2026-11-22T23:30:00Z'", "tnff"},
                                       {"at < '2026-11-23T00:00:00Z'", "tntf"},
                                       {"at < '1970-01-01T00:00:00Z'", "fntf"},
                                       {"s.n = 4", "tnfn"},
                                       {"s.in.k > 5", "tnnn"},
                                       {"s.in.k is null", "fttt"},
                                       {"s.in.name like 'x%'", "tnnn"},
                                       {"s.n + s.in.k = 11", "tnnn"},
                                       {"not (s.n < 0)", "tnfn"}};

Test(expr_types, truth_per_row)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char got[ROWS + 1];
        cr_assert_eq(truth(table[i][0], got), WEIR_OK, "%s: %s", table[i][0], error.text);
        cr_expect_str_eq(got, table[i][1], "%s: %s, wanted %s", table[i][0], got, table[i][1]);
    }
}

Test(expr_types, refused_with_their_place)
{
    static const char *const wrong[] = {"day = 'no date'", "day = '2026-02-30'",
                                        "s.nothing = 1",   "s.in.k.more = 1",
                                        "p = 'a'",         "s = 1",
                                        "day > 5",         "p like 'a'"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char got[ROWS + 1];
        cr_expect_eq(truth(wrong[i], got), WEIR_USAGE, "%s was taken", wrong[i]);
    }
}
