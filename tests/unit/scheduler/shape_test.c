/* Declared columns against a table's: what is added, widened, refused. */
#include "scheduler/window/shape.h"

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
