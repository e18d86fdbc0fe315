/* Whose a record is: by its tenant's column, exactly; of one that is refused, by that column read
 * alone; of what cannot be read so far, nobody's. */
#include "scheduler/window/owners.h"

#include "formats/json/json.h"

#include <criterion/criterion.h>
#include <string.h>

#define RECORDS_MAX 32

static const struct weir_tenant tenants[] = {
    {"big", "Big Corp"}, {"acme", "acme"}, {"acme-two", "acme2"}, {"zeta", "z"}};
static const struct weir_tenancy tenancy = {"who", tenants, 4, 1};
static struct weir_field fields[] = {
    {.name = "id", .id = 1, .required = true, .type = {.id = WEIR_INT}},
    {.name = "who", .id = 2, .required = true, .type = {.id = WEIR_STRING}},
    {.name = "name", .id = 3, .type = {.id = WEIR_STRING}}};
static const struct weir_type columns = {.id = WEIR_STRUCT, .child_count = 3, .children = fields};

struct owned {
    const char *record;
    int32_t owner;
};

static void check(const struct weir_source_config *source, const struct owned *cases, size_t count)
{
    struct weir_context context;
    struct weir_arena arena;
    struct decoder *decoder;
    struct owners *owners;
    struct weir_decoded decoded;
    struct weir_error error = {0};
    struct weir_log_record records[RECORDS_MAX] = {0};
    struct weir_bytes raw[RECORDS_MAX];
    uint32_t record[RECORDS_MAX], with_value = 0;
    int32_t *found;
    weir_context_init(&context);
    weir_arena_init(&arena, &context.memory);
    struct weir_table_config table = {
        .name = "bronze.t", .source = source, .unknown_fields = WEIR_UNKNOWN_QUARANTINE};
    struct decode_options options = {
        .account = &context.memory, .table = &table, .columns = &columns};
    for (size_t i = 0; i < count; i++) {
        if (!cases[i].record)
            continue;
        records[i].value = (struct weir_bytes){(const uint8_t *)cases[i].record,
                                               strlen(cases[i].record)};
        raw[with_value] = records[i].value;
        record[with_value++] = (uint32_t)i;
    }
    struct weir_run run = {.origin = {.topic = "t"}, .records = records, .count = count};
    struct decode_input input = {&run, raw, record, with_value};
    cr_assert_eq(decoder_new(&options, &decoder, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(owners_new(&options, &tenancy, &owners, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(decoder->operations->decode(decoder, &input, &arena, &decoded, &error), WEIR_OK);
    cr_assert_eq(owners_find(owners, decoder, &input, &decoded, &arena, &found, &error), WEIR_OK,
                 "%s", error.text);
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(found[i], cases[i].owner, "%s is %d's, not %d's",
                     cases[i].record ? cases[i].record : "no value", found[i], cases[i].owner);
    owners_free(owners);
    decoder_free(decoder);
    weir_arena_done(&arena);
    cr_expect_eq(atomic_load(&context.memory.used), 0);
    weir_context_done(&context);
}

Test(owners, of_json)
{
    static const struct weir_source_config source = {
        .name = "s", .is_kafka = true, .format = "json"};
    static const struct owned cases[] = {
        {"{\"id\": 1, \"who\": \"acme\"}", 1},
        {"{\"id\": 1, \"who\": \"acme2\"}", 2},
        {"{\"id\": 1, \"who\": \"Big Corp\"}", 0},
        {"{\"id\": 1, \"who\": \"\\u007a\"}", 3},
        {"{\"id\": 1, \"who\": \"acm\"}", OWNER_UNKNOWN},
        {"{\"id\": 1, \"who\": \"acme3\"}", OWNER_UNKNOWN},
        {"{\"id\": 1, \"who\": \"acme \"}", OWNER_UNKNOWN},
        {"{\"id\": 1, \"who\": \"big\"}", OWNER_UNKNOWN}, /* a name, and no value */
        {"{\"id\": 1, \"who\": \"\"}", OWNER_UNKNOWN},
        {"{\"id\": 1, \"who\": \"../x\"}", OWNER_UNKNOWN},
        {"{\"id\": \"x\", \"who\": \"acme\"}", 1}, /* refused, but its owner can be read */
        {"{\"who\": \"zeta\"}", OWNER_UNKNOWN},
        {"{\"who\": \"z\"}", 3},
        {"{\"id\": 1, \"who\": \"z\", \"more\": 1}", 3}, /* an unknown field */
        {"{\"id\": 1, \"who\": \"z\", \"name\": 5}", 3},
        {"{\"id\": 1}", OWNER_NONE},
        {"{\"id\": 1, \"who\": null}", OWNER_NONE},
        {"{\"id\": 1, \"who\": 5}", OWNER_NONE},
        {"{\"id\": 1, \"who\": [\"acme\"]}", OWNER_NONE},
        {"{\"id\": 1, \"who\": \"acme\"", OWNER_NONE},
        {"[]", OWNER_NONE},
        {"", OWNER_NONE},
        {NULL, OWNER_NONE},
    };
    check(&source, cases, sizeof cases / sizeof *cases);
}

/* Whichever of two counts, it is the same one for a record that lands and for one that is refused.
 */
Test(owners, named_twice)
{
    static const struct weir_source_config source = {
        .name = "s", .is_kafka = true, .format = "json"};
    struct owned good[] = {{"{\"id\": 1, \"who\": \"acme\", \"who\": \"z\"}", 3},
                           {"{\"id\": \"x\", \"who\": \"acme\", \"who\": \"z\"}", 3}};
    check(&source, good, 2);
}

/* What cannot be read alone is nobody's: its place among others is all that such a field has. */
Test(owners, of_what_cannot_be_read_alone)
{
    static const struct weir_source_config csv = {
        .name = "s", .format = "csv", .csv = {.delimiter = ',', .quote = '"', .null_text = ""}};
    struct weir_context context;
    struct owners *owners;
    struct weir_table_config table = {.name = "bronze.t", .source = &csv};
    weir_context_init(&context);
    struct decode_options options = {
        .account = &context.memory, .table = &table, .columns = &columns};
    cr_assert_eq(owners_new(&options, &tenancy, &owners, NULL), WEIR_OK);
    owners_free(owners);
    static const struct weir_tenancy other = {"name", tenants, 4, 1};
    struct weir_error error = {0};
    cr_expect_eq(owners_new(&options, &other, &owners, &error), WEIR_USAGE, "it is not required");
    weir_context_done(&context);
}
