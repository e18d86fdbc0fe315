/* Declared columns against a table's: what is added, widened, refused. */
#include "scheduler/window/shape.h"

#include "engine/base/limits.h"
#include "formats/json/json.h"

#include <criterion/criterion.h>

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

static struct weir_table_config config_of(const char *columns)
{
    static struct weir_source_config source = {.name = "s", .is_kafka = true};
    struct weir_table_config config = {
        .name = "bronze.t", .location = "weir.yaml:1:1", .source = &source, .metadata = true};
    struct weir_error error = {0};
    cr_assert_eq(weir_type_parse(&arena, columns, &config.columns, &error), WEIR_OK, "%s",
                 error.text);
    return config;
}

static struct weir_metadata *table_of(const struct weir_shape *shape)
{
    json_t *schema, *document;
    struct weir_metadata *metadata;
    struct weir_error error = {0};
    cr_assert_eq(weir_schema_to_json(&shape->schema, &schema, NULL), WEIR_OK);
    document = json_pack("{s:i, s:s, s:s, s:i, s:i, s:i, s:[o], s:i, s:[{s:i, s:[]}], s:i, s:i, "
                         "s:i, s:[{s:i, s:[]}], s:{}, s:[], s:{}}",
                         "format-version", 2, "table-uuid", "123e4567-e89b-12d3-a456-426614174000",
                         "location", "/lake/bronze/t", "last-sequence-number", 0, "last-updated-ms",
                         1, "last-column-id", weir_type_highest_id(&shape->schema.root), "schemas",
                         schema, "current-schema-id", 0, "partition-specs", "spec-id", 0, "fields",
                         "default-spec-id", 0, "last-partition-id", 999, "default-sort-order-id", 0,
                         "sort-orders", "order-id", 0, "fields", "properties", "snapshots", "refs");
    char *text = json_dumps(document, 0);
    cr_assert_eq(weir_metadata_parse(&account, text, strlen(text), &metadata, &error), WEIR_OK,
                 "%s", error.text);
    free(text);
    json_decref(document);
    return metadata;
}

static weir_status merged(const char *has, const char *wants, struct weir_shape *ret,
                          struct weir_error *reterr)
{
    struct weir_shape born;
    struct weir_table_config first = config_of(has), second = config_of(wants);
    cr_assert_eq(weir_shape_make(&arena, &first, NULL, &born, reterr), WEIR_OK);
    struct weir_metadata *metadata = table_of(&born);
    weir_status status = weir_shape_make(&arena, &second, metadata, ret, reterr);
    weir_metadata_free(metadata);
    return status;
}

Test(shape, born_with_ids_and_the_meta_column, .init = setup, .fini = teardown)
{
    struct weir_table_config config = config_of("struct<a:int required, b:struct<c:string>>");
    struct weir_shape shape;
    cr_assert_eq(weir_shape_make(&arena, &config, NULL, &shape, NULL), WEIR_OK);
    cr_assert_eq(shape.schema.root.child_count, 3);
    cr_assert_eq(shape.decode.child_count, 2);
    cr_assert_str_eq(shape.write.children[2].name, "_kafka");
    cr_assert_eq(shape.schema.root.children[0].id, 1);
    cr_assert_gt(shape.schema.root.children[1].type.children[0].id, 3);
    cr_assert_not(shape.changed);
}

Test(shape, added_and_widened_keep_ids, .init = setup, .fini = teardown)
{
    struct weir_shape shape;
    cr_assert_eq(merged("struct<a:int, b:struct<c:float>>",
                        "struct<d:string, b:struct<e:int, c:double>, a:long>", &shape, NULL),
                 WEIR_OK);
    cr_assert(shape.changed);
    cr_assert_eq(weir_type_by_path(&shape.schema.root, "a")->id, 1);
    cr_assert_eq(weir_type_by_path(&shape.schema.root, "a")->type.id, WEIR_LONG);
    cr_assert_eq(weir_type_by_path(&shape.schema.root, "b.c")->type.id, WEIR_DOUBLE);
    cr_assert_gt(weir_type_by_path(&shape.schema.root, "d")->id,
                 weir_type_by_path(&shape.schema.root, "_kafka.key")->id);
    cr_assert_str_eq(shape.decode.children[0].name, "d",
                     "decoding follows the pipeline file's order");
}

Test(shape, a_narrower_declaration_reads_as_the_table_is, .init = setup, .fini = teardown)
{
    struct weir_shape shape;
    cr_assert_eq(merged("struct<a:long, gone:string>", "struct<a:int>", &shape, NULL), WEIR_OK);
    cr_assert_not(shape.changed);
    cr_assert_eq(shape.decode.children[0].type.id, WEIR_LONG);
    cr_assert_eq(shape.decode.child_count, 1);
}

Test(shape, what_cannot_be_is_refused_with_both_sides, .init = setup, .fini = teardown)
{
    struct weir_shape shape;
    struct weir_error error = {0};
    cr_assert_eq(merged("struct<a:string>", "struct<a:int>", &shape, &error), WEIR_USAGE);
    cr_assert(strstr(error.text, "string") && strstr(error.text, "int"), "%s", error.text);
    cr_assert_eq(merged("struct<a:int>", "struct<a:int, b:int required>", &shape, &error),
                 WEIR_USAGE);
    cr_assert_eq(merged("struct<a:int required>", "struct<a:int>", &shape, &error), WEIR_USAGE);
    cr_assert_eq(merged("struct<a:int required>", "struct<b:int>", &shape, &error), WEIR_USAGE);
    cr_assert_eq(merged("struct<a:list<int>>", "struct<a:map<string, int>>", &shape, &error),
                 WEIR_USAGE);
    cr_assert_eq(merged("struct<a:decimal(9,2)>", "struct<a:decimal(9,3)>", &shape, &error),
                 WEIR_USAGE);
}

/* ---- unknown_fields: evolve -------------------------------------------------------------------
 */

/* The shape of a table `has`, read by `wants`, in a window that met `met` (NULL = nothing). */
static void evolve(const char *has, const char *wants, const struct weir_type *met,
                   struct weir_shape *ret)
{
    struct weir_shape born;
    struct weir_table_config first = config_of(has), second = config_of(wants);
    struct weir_error error = {0};
    second.unknown_fields = WEIR_UNKNOWN_EVOLVE;
    cr_assert_eq(weir_shape_make(&arena, &first, NULL, &born, NULL), WEIR_OK);
    struct weir_metadata *metadata = table_of(&born);
    cr_assert_eq(weir_shape_evolve(&arena, &second, metadata, met, ret, &error), WEIR_OK, "%s",
                 error.text);
    weir_metadata_free(metadata);
}

static void evolves_to(const char *has, const char *wants, const char *met, const char *expected)
{
    struct weir_shape shape;
    struct weir_type found;
    struct weir_buffer text = {.account = &account};
    if (met)
        cr_assert_eq(weir_type_parse(&arena, met, &found, NULL), WEIR_OK);
    evolve(has, wants, met ? &found : NULL, &shape);
    cr_assert_eq(weir_type_print(&shape.decode, &text, NULL), WEIR_OK);
    cr_assert_str_eq((const char *)text.data, expected);
    weir_buffer_done(&text);
}

Test(shape, fields_that_were_met_become_columns_by_name, .init = setup, .fini = teardown)
{
    evolves_to("struct<a:int>", "struct<a:int>",
               "struct<a:int, c:string, b:list<struct<y:long, x:double>>>",
               "struct<a:int, b:list<struct<x:double, y:long>>, c:string>");
    evolves_to("struct<a:struct<b:list<struct<c:int>>>>", "struct<a:struct<b:list<struct<c:int>>>>",
               "struct<a:struct<b:list<struct<c:int, d:string>>, e:boolean>>",
               "struct<a:struct<b:list<struct<c:int, d:string>>, e:boolean>>");
}

Test(shape, ids_of_what_was_there_stay, .init = setup, .fini = teardown)
{
    struct weir_shape shape;
    struct weir_type found;
    cr_assert_eq(weir_type_parse(&arena, "struct<a:int, b:struct<c:long>>", &found, NULL), WEIR_OK);
    evolve("struct<a:int>", "struct<a:int>", &found, &shape);
    cr_assert(shape.changed);
    cr_assert_eq(weir_type_by_path(&shape.schema.root, "a")->id, 1);
    int32_t last = weir_type_by_path(&shape.schema.root, "_kafka.key")->id;
    cr_assert_eq(weir_type_by_path(&shape.schema.root, "b")->id, last + 1);
    cr_assert_eq(weir_type_by_path(&shape.schema.root, "b.c")->id, last + 2);
    cr_assert_not(weir_type_by_path(&shape.schema.root, "b")->required);
}

Test(shape, columns_of_the_table_are_read_and_widened, .init = setup, .fini = teardown)
{
    evolves_to("struct<a:int, b:int, c:struct<d:float>, e:map<int, string>>", "struct<a:int>", NULL,
               "struct<a:int, b:long, c:struct<d:double>>");
    evolves_to("struct<a:int, b:string>", "struct<a:int>", "struct<a:int, b:long>",
               "struct<a:int, b:string>");
}

Test(shape, names_that_engines_mistake_are_left, .init = setup, .fini = teardown)
{
    struct weir_field fields[] = {{.name = "A", .type = {.id = WEIR_LONG}},
                                  {.name = "", .type = {.id = WEIR_LONG}},
                                  {.name = "_kafka", .type = {.id = WEIR_LONG}},
                                  {.name = "_POS", .type = {.id = WEIR_LONG}},
                                  {.name = "a.b", .type = {.id = WEIR_LONG}},
                                  {.name = "x\ny", .type = {.id = WEIR_LONG}},
                                  {.name = "fine", .type = {.id = WEIR_BOOLEAN}},
                                  {.name = "Fine", .type = {.id = WEIR_LONG}}};
    struct weir_type found = {
        .id = WEIR_STRUCT, .child_count = sizeof fields / sizeof fields[0], .children = fields};
    struct weir_shape shape;
    evolve("struct<a:int>", "struct<a:int>", &found, &shape);
    cr_assert_eq(shape.decode.child_count, 2);
    cr_assert_str_eq(shape.decode.children[1].name, "Fine");
}

Test(shape, columns_are_so_many_and_so_deep, .init = setup, .fini = teardown)
{
    struct weir_field *fields;
    struct weir_type found = {.id = WEIR_STRUCT, .child_count = WEIR_EVOLVED_FIELDS_MAX + 10};
    struct weir_shape shape;
    cr_assert_eq(weir_arena_zero(&arena, found.child_count, sizeof *fields, &fields, NULL),
                 WEIR_OK);
    for (uint32_t i = 0; i < found.child_count; i++) {
        char *name;
        cr_assert_eq(weir_arena_print(&arena, &name, NULL, "n%05u", i), WEIR_OK);
        fields[i] = (struct weir_field){.name = name, .type = {.id = WEIR_LONG}};
    }
    found.children = fields;
    evolve("struct<a:int>", "struct<a:int>", &found, &shape);
    cr_assert_eq(shape.decode.child_count, WEIR_EVOLVED_FIELDS_MAX);
    struct weir_field nested[100];
    for (size_t i = 0; i < 100; i++)
        nested[i] = (struct weir_field){.name = "n",
                                        .type = {.id = i == 99 ? WEIR_LONG : WEIR_STRUCT,
                                                 .child_count = i != 99,
                                                 .children = i == 99 ? NULL : &nested[i + 1]}};
    found = (struct weir_type){.id = WEIR_STRUCT, .child_count = 1, .children = nested};
    evolve("struct<a:int>", "struct<a:int>", &found, &shape);
    cr_assert_eq(shape.decode.child_count, 1);
    cr_assert_not(shape.changed);
}
