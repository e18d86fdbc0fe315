/* Good pipeline files: what they become, merging, defaults, secrets, digests, Avro schemas,
 * documents, templates. */
#include "tests/unit/pipeline/help.h"

#include <sys/stat.h>

#include "formats/codec/codec.h"
#include "formats/json/json.h"

#define SOURCE_AND_TABLE                                                                           \
    "sources:\n  s: {kafka: {topics: [t], properties: {bootstrap.servers: 'x:1'}}}\n"              \
    "tables:\n  bronze.t:\n    source: s\n    columns: {a: int}\n"

TestSuite(read, .init = help_setup, .fini = help_teardown);

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "r");
    static char text[1 << 20];
    cr_assert_not_null(file, "%s", path);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

static void expect_type(const struct weir_type *type, const char *wanted)
{
    WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
    cr_assert_eq(weir_type_print(type, &out, NULL), WEIR_OK);
    cr_expect_str_eq((char *)out.data, wanted);
}

Test(read, everything)
{
    setenv("WEIR_TEST_BROKERS", "b1:9092,b2:9092", 1);
    write_bytes("pw", "hunter2\r\n", 9);
    struct weir_pipeline *p = read_good(
        "version: 1\nname: inv\nowner: o@x\nlake:\n  tenant: acme\n  environment: prod\n  region: "
        "eu-west-2\n  classification: [GDPR]\n"
        "  tags: {a: b}\n  warehouse: s3://{tenant}-{region}-datalake/x/\n  s3: {endpoint: "
        "\"http://h:1\", path_style: true, account: \"123\", assume_role: {arn: r, external_id: "
        "\"file:pw\"}}\n"
        "  tls: {ca_file: certs/ca.pem}\n"
        "run: {threads: 3, memory_limit: 256MiB, spill: {dir: s, limit: 1GiB}, window: "
        "{max_records: 10, max_bytes: 2MiB}, deadline: 4m}\n"
        "sources:\n  k:\n    kafka: {topics: [a, b], start: 2026-11-01T00:00:00Z, group: g, "
        "headers: true, transactional: true,\n"
        "      properties: {bootstrap.servers: \"${WEIR_TEST_BROKERS:-x}\", sasl.password: "
        "\"file:pw\", client.id: \"$${x}\"}}\n"
        "  o: {kafka: {topics: \"/t.*/\", start: {0: 42, 1: 17}, properties: {bootstrap.servers: "
        "x}}}\n  f: {files: in/*.ndjson.gz}\n"
        "tables:\n  bronze.k:\n    source: k\n    where: a > 1\n"
        "    columns: {a: int required, h: {type: string, class: personal, subject: who, doc: d}, "
        "t: {type: timestamptz, unit: millis}, s: \"struct<x:int>\"}\n"
        "    expect: [{that: a > 2, name: big, on_fail: warn}, {not_null: [h, s.x]}]\n    "
        "on_invalid: fail\n    max_invalid: {share: 5%, of_at_least: 7}\n"
        "    unknown_fields: quarantine\n    partition_by: [days(t), \"bucket(4, a)\"]\n    "
        "sort_by: [a desc, t asc nulls last]\n    bloom: h\n    codec: zstd(9)\n"
        "    file_size: 1GB\n    row_group: 2MiB\n    metadata: false\n    tombstones: skip\n"
        "  bronze.f: {source: f, columns: {a: int}}\npolicies: {GDPR: {regions: eu-west-2}}\n");
    char folder[4096], path[4200];
    cr_assert_not_null(getcwd(folder, sizeof folder));
    cr_expect_str_eq(p->warehouse, "s3://acme-eu-west-2-datalake/x");
    cr_expect_eq(p->catalog, WEIR_CATALOG_OBJECT_STORE);
    cr_expect_null(p->catalog_path);
    cr_expect_str_eq(p->s3.role_external_id, "hunter2");
    cr_expect_str_eq(p->s3.region, "eu-west-2");
    cr_expect(p->s3.path_style);
    snprintf(path, sizeof path, "%s/certs/ca.pem", folder);
    cr_expect_str_eq(p->tls.ca_file, path);
    cr_expect_eq(p->threads, 3);
    cr_expect_eq(p->memory_limit, 256u << 20);
    cr_expect_eq(p->window_max_records, 10);
    cr_expect_eq(p->window_max_bytes, 2u << 20);
    cr_expect_eq(p->deadline_ms, 240000);
    cr_assert_eq(p->source_count, 3);
    const struct weir_source_config *k = &p->sources[0], *o = &p->sources[1], *f = &p->sources[2];
    cr_expect(k->is_kafka && k->headers && k->transactional && k->topic_count == 2);
    cr_expect_eq(k->start, WEIR_START_TIME);
    cr_expect_eq(k->start_time_ms, 1793491200000);
    cr_assert_eq(k->property_count, 4);
    cr_expect_str_eq(k->properties[0].value, "b1:9092,b2:9092");
    cr_expect_str_eq(k->properties[1].value, "hunter2");
    cr_expect_str_eq(k->properties[2].value, "${x}");
    cr_expect_str_eq(k->properties[3].key, "ssl.ca.location"); /* lake.tls counts for Kafka too */
    cr_expect_str_eq(k->properties[3].value, path);
    cr_expect_eq(o->start, WEIR_START_OFFSETS);
    cr_assert_eq(o->start_offset_count, 2);
    cr_expect_eq(o->start_offsets[1].offset, 17);
    snprintf(path, sizeof path, "%s/in/*.ndjson.gz", folder);
    cr_expect_str_eq(f->files, path);
    cr_expect_not(f->is_kafka);
    const struct weir_table_config *t = &p->tables[0];
    cr_expect_str_eq(t->layer, "bronze");
    cr_expect_str_eq(t->short_name, "k");
    cr_expect_eq(t->source, k);
    cr_expect_str_eq(t->where, "a > 1");
    cr_expect_str_eq(t->where_location, "weir.yaml:23:12");
    expect_type(&t->columns, "struct<a:int required, h:string, t:timestamptz, s:struct<x:int>>");
    cr_expect_str_eq(t->columns.children[1].doc, "d");
    cr_expect_str_eq(t->column_configs[1].class_name, "personal");
    cr_expect_not(t->column_configs[1].bounds);
    cr_expect(t->column_configs[0].bounds);
    cr_expect_str_eq(t->column_configs[2].unit, "millis");
    cr_assert_eq(t->expectation_count, 3);
    cr_expect_str_eq(t->expectations[0].name, "big");
    cr_expect_eq(t->expectations[0].on_fail, WEIR_ON_FAIL_WARN);
    cr_expect_str_eq(t->expectations[2].that, "\"s\".\"x\" is not null");
    cr_expect_eq(t->on_invalid, WEIR_INVALID_FAIL);
    cr_expect_float_eq(t->max_invalid_share, 0.05, 1e-12);
    cr_expect_eq(t->max_invalid_of_at_least, 7);
    cr_expect_eq(t->unknown_fields, WEIR_UNKNOWN_QUARANTINE);
    cr_assert_eq(t->partition_by_count, 2);
    cr_expect_str_eq(t->partition_by[1], "bucket(4, a)");
    cr_assert_eq(t->sort_count, 2);
    cr_expect(t->sort_by[0].descending && !t->sort_by[0].nulls_first && !t->sort_by[1].descending &&
              !t->sort_by[1].nulls_first);
    cr_expect_str_eq(t->bloom[0], "h");
    cr_expect_eq(t->codec, WEIR_CODEC_ZSTD);
    cr_expect_eq(t->codec_level, 9);
    cr_expect_eq(t->file_size, 1000000000u);
    cr_expect(!t->metadata && t->tombstones_skip);
    weir_pipeline_free(p);
    cr_expect_eq(atomic_load(&context.memory.used), 0);
}

/* A REST catalog: who we are, and the file that a token is read from again. */
Test(read, rest_catalog)
{
    write_bytes("token", "abc\n", 4);
    struct weir_pipeline *p = read_good(
        "version: 1\nname: t\nlake:\n  warehouse: s3://lake/wh\n  region: eu-west-2\n"
        "  tls: {ca_file: ca.pem}\n  catalog:\n    rest:\n      uri: https://h:1/iceberg/\n"
        "      warehouse: w\n      prefix: p\n      timeout: 5s\n      headers: {X-Realm: a}\n"
        "      auth: {bearer: file:token}\n" SOURCE_AND_TABLE);
    char folder[4096], path[4200];
    cr_assert_not_null(getcwd(folder, sizeof folder));
    snprintf(path, sizeof path, "%s/token", folder);
    cr_expect_eq(p->catalog, WEIR_CATALOG_REST);
    cr_expect_str_eq(p->rest.uri, "https://h:1/iceberg/");
    cr_expect_str_eq(p->rest.warehouse, "w");
    cr_expect_str_eq(p->rest.prefix, "p");
    cr_expect_eq(p->rest.timeout_ms, 5000);
    cr_expect_eq(p->rest.auth, WEIR_REST_AUTH_BEARER);
    cr_expect_str_eq(p->rest.token, "abc");
    cr_expect_str_eq(p->rest.token_file, path);
    cr_assert_eq(p->rest.header_count, 1);
    cr_expect_str_eq(p->rest.headers[0], "X-Realm: a");
    snprintf(path, sizeof path, "%s/ca.pem", folder);
    cr_expect_str_eq(p->rest.tls_ca_file, path);
    WEIR_AUTO(weir_buffer) text = {.account = &context.memory};
    cr_assert_eq(weir_pipeline_print(p, &text, NULL), WEIR_OK);
    cr_expect_null(strstr((char *)text.data, "abc"));
    weir_buffer_done(&text);
    weir_pipeline_free(p);
    p = read_good("version: 1\nname: t\nlake:\n  warehouse: s3://lake/wh\n  region: eu-west-2\n"
                  "  catalog: {rest: {uri: 'http://h', auth: {sigv4: {service: "
                  "s3tables}}}}\n" SOURCE_AND_TABLE);
    cr_expect_eq(p->rest.auth, WEIR_REST_AUTH_SIGV4);
    cr_expect_str_eq(p->rest.sign_region, "eu-west-2");
    cr_expect_str_eq(p->rest.sign_service, "s3tables");
    cr_expect_null(p->rest.token_file);
    weir_pipeline_free(p);
    p = read_good("version: 1\nname: t\nlake:\n  warehouse: l\n  catalog:\n    rest:\n"
                  "      uri: http://h\n      auth: {oauth2: {client_id: i, client_secret: s, "
                  "token_url: 'https://t/x', scope: z}}\n" SOURCE_AND_TABLE);
    cr_expect_eq(p->rest.auth, WEIR_REST_AUTH_OAUTH2);
    cr_expect_str_eq(p->rest.client_secret, "s");
    cr_expect_str_eq(p->rest.token_url, "https://t/x");
    cr_expect_str_eq(p->rest.scope, "z");
    weir_pipeline_free(p);
}

Test(read, defaults)
{
    struct weir_pipeline *p = read_good(GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS);
    char folder[4096], path[4200];
    cr_assert_not_null(getcwd(folder, sizeof folder));
    snprintf(path, sizeof path, "%s/lake/catalog.db", folder);
    cr_expect_str_eq(p->catalog_path, path);
    cr_expect_str_eq(p->directory, folder);
    cr_expect_eq(p->catalog, WEIR_CATALOG_SQLITE);
    cr_expect_eq(p->threads, context.thread_count);
    cr_expect_gt(p->memory_limit, 0u);
    cr_expect_eq(p->window_max_records, 2000000);
    cr_expect_eq(p->deadline_ms, 0);
    cr_expect_eq(p->sources[0].start, WEIR_START_EARLIEST);
    cr_expect(p->tables[0].metadata && !p->tables[0].tombstones_skip);
    cr_expect_eq(p->tables[0].codec, WEIR_CODEC_LZ4_RAW);
    cr_expect_eq(p->tables[0].file_size, 128u << 20);
    cr_expect_eq(p->tables[0].max_invalid_share, 0);
    cr_expect_str_eq(p->tables[0].location, "weir.yaml:7:3");
    cr_expect_eq(strlen(p->digest), 32u);
    weir_pipeline_free(p);
}

Test(read, several_files)
{
    static const char *const files[] = {"a.yaml", "b.yaml"};
    const char *a = GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS
        "run: {threads: 2, window: {max_records: 5}}\n";
    const char *b = "run: {threads: 4}\nsources: {s: {kafka: {topics: [u, v]}}}\ntables:\n  "
                    "bronze.t: {columns: {c: long}}\n";
    write_bytes("a.yaml", a, strlen(a));
    write_bytes("b.yaml", b, strlen(b));
    struct weir_pipeline *p = read_files(files, 2);
    cr_assert_not_null(p, "%s", reported);
    cr_expect_eq(p->threads, 4);
    cr_expect_eq(p->window_max_records, 5);
    cr_assert_eq(p->sources[0].topic_count, 2);
    cr_expect_str_eq(p->sources[0].topics[0], "u");
    expect_type(&p->tables[0].columns, "struct<a:int, b:timestamptz required, c:long>");
    weir_pipeline_free(p);
    /* An error is told in the file that holds it. */
    b = "run: {threads: lots}\ntables: {bronze.t: {sourc: x}}\n";
    write_bytes("b.yaml", b, strlen(b));
    cr_assert_null(read_files(files, 2));
    cr_expect_str_eq(reported,
                     "b.yaml:1:16: run.threads: expected a whole number or auto, but there is "
                     "'lots'\n  run: {threads: lots}\n                 ^\n"
                     "b.yaml:2:21: tables.bronze.t: unknown key 'sourc'\n  tables: {bronze.t: "
                     "{sourc: x}}\n                      ^\n  hint: did you mean 'source'?\n");
}

Test(read, anchors_and_merge_keys)
{
    struct weir_pipeline *p = read_good(
        GOOD_SOURCES "tables:\n  bronze.t: &t\n    source: s\n    columns: &c {a: int}\n  "
                     "bronze.u: {<<: *t, codec: zstd}\n  bronze.v: {source: s, columns: *c}\n");
    cr_assert_eq(p->table_count, 3);
    cr_expect_eq(p->tables[1].codec, WEIR_CODEC_ZSTD);
    expect_type(&p->tables[1].columns, "struct<a:int>");
    weir_pipeline_free(p);
}

Test(read, printed_again_is_the_same)
{
    write_bytes("pw", "hunter2\n", 8);
    struct weir_pipeline *p = read_good(
        "version: 1\nname: \"true\"\nowner: 'a: b # c'\nlake: {warehouse: ./lake, tags: {n: \"1\", "
        "s: \" x \", q: \"a\\\"b\\\\c\\n\", d: \"$${HOME}\", e: \"-\"}}\nsources:\n"
        "  s: {kafka: {topics: [t], properties: {bootstrap.servers: \"x:1\", sasl.password: "
        "\"file:pw\", ssl.key.password: plainly}}}\n" GOOD_TABLE
        "    columns: {a: \"map<string, string>\", \"b: c\": int}\n");
    WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
    cr_assert_eq(weir_pipeline_print(p, &out, NULL), WEIR_OK);
    char *first = strdup((char *)out.data);
    cr_expect_null(strstr(first, "hunter2"));
    cr_expect_null(strstr(first, "plainly"));
    struct weir_pipeline *again = read_good(first);
    cr_expect_str_eq(again->tags[0].value, "1");
    cr_expect_str_eq(again->tags[2].value, "a\"b\\c\n");
    cr_expect_str_eq(again->tags[3].value, "${HOME}");
    cr_expect_str_eq(again->owner, "a: b # c");
    cr_expect_str_eq(again->digest, p->digest);
    weir_buffer_clear(&out);
    cr_assert_eq(weir_pipeline_print(again, &out, NULL), WEIR_OK);
    cr_expect_str_eq((char *)out.data, first);
    free(first);
    weir_pipeline_free(again);
    weir_pipeline_free(p);
}

static void digest_of(const char *text, char out[33])
{
    struct weir_pipeline *p = read_good(text);
    snprintf(out, 33, "%s", p->tables[0].digest);
    weir_pipeline_free(p);
}

Test(read, digest)
{
    static const char *const same[] = {
        "# comment\n" GOOD_SOURCES
        "tables:\n  bronze.t:\n    columns: {a: int, b: timestamptz required}\n    source: s\n",
        GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS
        "    codec: zstd\n    file_size: 1GiB\n    bloom: a\nrun: {threads: 1}\n",
        GOOD_SOURCES GOOD_TABLE
        "    columns: {a: {type: int, doc: text}, b: {type: timestamptz, required: true}}\n",
    };
    static const char *const other[] = {
        GOOD_SOURCES GOOD_TABLE "    columns: {a: int, b: timestamptz}\n",
        GOOD_SOURCES GOOD_TABLE "    columns: {a: long, b: timestamptz required}\n",
        GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS "    where: a > 1\n",
        GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS "    expect: [{that: a > 1}]\n",
        GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS "    partition_by: a\n",
        GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS "    tombstones: skip\n",
        GOOD_SOURCES GOOD_TABLE
        "    columns: {a: {type: int, class: personal}, b: timestamptz required}\n",
    };
    char base[33], digest[33];
    digest_of(GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS, base);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        digest_of(same[i], digest);
        cr_expect_str_eq(digest, base, "%s", same[i]);
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        digest_of(other[i], digest);
        cr_expect_str_neq(digest, base, "%s", other[i]);
    }
}

Test(read, avro_schema)
{
    const char *schema =
        "{\"type\": \"record\", \"name\": \"r\", \"fields\": [{\"name\": \"id\", \"type\": "
        "\"long\", \"doc\": \"key\"}, {\"name\": \"t\", \"type\": [\"null\", {\"type\": \"long\", "
        "\"logicalType\": \"timestamp-millis\"}], \"default\": null},"
        "{\"name\": \"l\", \"type\": {\"type\": \"long\", \"logicalType\": "
        "\"local-timestamp-micros\"}}, {\"name\": \"d\", \"type\": {\"type\": \"bytes\", "
        "\"logicalType\": \"decimal\", \"precision\": 9, \"scale\": 2}},"
        "{\"name\": \"u\", \"type\": {\"type\": \"string\", \"logicalType\": \"uuid\"}}, "
        "{\"name\": \"e\", \"type\": {\"type\": \"enum\", \"name\": \"e\", \"symbols\": [\"A\"]}},"
        "{\"name\": \"f\", \"type\": {\"type\": \"fixed\", \"name\": \"f4\", \"size\": 4}}, "
        "{\"name\": \"g\", \"type\": [\"null\", \"f4\"]}, {\"name\": \"a\", \"type\": {\"type\": "
        "\"array\", \"items\": [\"null\", \"int\"]}},"
        "{\"name\": \"m\", \"type\": {\"type\": \"map\", \"values\": \"double\"}}, {\"name\": "
        "\"s\", \"type\": {\"type\": \"record\", \"name\": \"n\", \"namespace\": \"x.y\", "
        "\"fields\": [{\"name\": \"q\", \"type\": {\"type\": \"int\", \"logicalType\": "
        "\"date\"}}]}},"
        "{\"name\": \"s2\", \"type\": [\"x.y.n\", \"null\"]}]}";
    write_bytes("r.avsc", schema, strlen(schema));
    struct weir_pipeline *p = read_good(GOOD_SOURCES GOOD_TABLE
                                        "    schema: r.avsc\n    partition_by: days(t)\n");
    expect_type(&p->tables[0].columns,
                "struct<id:long required, t:timestamptz, l:timestamp required, d:decimal(9,2) "
                "required, u:uuid required, e:string required, f:fixed(4) required, g:fixed(4), "
                "a:list<int> required, m:map<string, double required> required, s:struct<q:date "
                "required> required, s2:struct<q:date required>>");
    cr_expect_str_eq(p->tables[0].columns.children[0].doc, "key");
    weir_pipeline_free(p);
}

Test(read, avro_schema_errors)
{
    static const struct {
        const char *schema, *says;
    } schemas[] = {
        {"{", "r.avsc:1:1: "},
        {"\"int\"", "r.avsc: $: the schema of a table must be a record"},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[]}",
         "r.avsc: $: a record without fields"},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"strng\"}]}",
         "r.avsc: $.fields[0].type: unknown type 'strng'"},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":[\"int\","
         "\"string\"]}]}",
         "$.fields[0].type: a union of several types"},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"r\"]"
         "}]}",
         "$.fields[0].type: a type that holds itself"},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":"
         "\"array\",\"items\":{\"type\":\"fixed\",\"name\":\"f\",\"size\":0}}}]}",
         "$.fields[0].type.items: size of fixed"},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\"}]}",
         "$.fields[0].type: no type"},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"_source_file\",\"type\":"
         "\"int\"}]}",
         "Weir's own columns"},
    };
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        write_bytes("r.avsc", schemas[i].schema, strlen(schemas[i].schema));
        cr_assert_null(read_text(GOOD_SOURCES GOOD_TABLE "    schema: r.avsc\n"));
        cr_expect(strstr(reported, schemas[i].says), "wanted %s in\n%s", schemas[i].says, reported);
        cr_expect(strncmp(reported, "weir.yaml:9:13: ", 16) == 0, "%s", reported);
    }
    char deep[40000] = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":";
    for (int i = 0; i < 1000; i++)
        strcat(deep, "{\"type\":\"array\",\"items\":");
    write_bytes("r.avsc", deep, strlen(deep));
    cr_assert_null(read_text(GOOD_SOURCES GOOD_TABLE "    schema: r.avsc\n"));
}

/* ---- documents and templates
 * ---------------------------------------------------------------------------------- */

Test(read, committed_schema_is_current)
{
    WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
    cr_assert_eq(weir_pipeline_schema(&out, NULL), WEIR_OK);
    cr_assert(strcmp((char *)out.data, file_text(WEIR_SOURCE_ROOT "/docs/pipeline.schema.json")) ==
                  0,
              "docs/pipeline.schema.json is old: run weir-pipeline-docs");
}

Test(read, committed_key_table_is_current)
{
    WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
    cr_assert_eq(weir_pipeline_key_table(&out, NULL), WEIR_OK);
    cr_assert(strstr(file_text(WEIR_SOURCE_ROOT "/docs/pipeline.md"), (char *)out.data) != NULL,
              "docs/pipeline.md is old: run weir-pipeline-docs");
}

Test(read, examples_of_the_document)
{
    const char *at = file_text(WEIR_SOURCE_ROOT "/docs/pipeline.md"), *end;
    size_t count = 0;
    while ((at = strstr(at, "```yaml\n")) != NULL && (end = strstr(at + 8, "```")) != NULL) {
        char *block = strndup(at + 8, (size_t)(end - at - 8));
        weir_pipeline_free(read_good(block));
        free(block);
        at = end + 3;
        count++;
    }
    cr_assert_gt(count, 0u);
}

Test(read, templates)
{
    WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
    size_t count;
    const struct weir_template_file *files = weir_pipeline_template_files(&count);
    cr_assert_eq(mkdir("models", 0755) | mkdir("reference", 0755) | mkdir("tests", 0755), 0);
    for (size_t i = 0; i < count; i++)
        write_bytes(files[i].path, files[i].text, strlen(files[i].text));
    cr_assert_eq(weir_pipeline_template("inventory", "my-lake", &out, NULL), WEIR_OK);
    struct weir_pipeline *p = read_good((char *)out.data);
    cr_expect_str_eq(p->name, "my-lake");
    cr_expect_eq(p->model_count, 4u);
    cr_expect_eq(p->tables[0].columns.child_count, 14u);
    weir_pipeline_free(p);
    cr_assert_eq(weir_pipeline_template("nope", "x", &out, &last_error), WEIR_USAGE);
    cr_assert_str_eq(last_error.hint, "there is: inventory");
}

Test(read, from_a_type)
{
    struct weir_arena arena;
    struct weir_type type;
    weir_arena_init(&arena, &context.memory);
    cr_assert_eq(
        weir_type_parse(&arena,
                        "struct<id:long required, \"a: b\":string, true:int, \"x#y\":struct<\"p "
                        "q\":map<string, double>>, \"${HOME}\":list<int>, \"tab\t\":int>",
                        &type, &last_error),
        WEIR_OK, "%s", last_error.text);
    for (int kafka = 0; kafka < 2; kafka++) {
        WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
        struct weir_pipeline_sketch sketch = {.name = "sketch",
                                              .table = "bronze.readings",
                                              .files = kafka ? NULL : "in/*.ndjson",
                                              .topic = "readings",
                                              .columns = &type};
        type.child_count = 5; /* a name with a tab is no column's name */
        cr_assert_eq(weir_pipeline_from_type(&sketch, &out, NULL), WEIR_OK);
        struct weir_pipeline *p = read_good((char *)out.data);
        cr_expect(weir_type_equal(&p->tables[0].columns, &type, false), "%s", (char *)out.data);
        cr_expect_eq(p->sources[0].is_kafka, kafka == 1);
        weir_pipeline_free(p);
    }
    weir_arena_done(&arena);
}

Test(read, when_models_are_promoted)
{
    cr_assert_eq(mkdir("models", 0755), 0);
    write_bytes("models/m.sql", "SELECT a FROM bronze.t", 22);
    struct weir_pipeline *p = read_good(
        "version: 1\nname: t\nlake: {warehouse: ./lake}\nsources: {s: {files: in/*.ndjson}, f: "
        "{files: f.csv, format: csv}}\n"
        "tables:\n  bronze.t: {source: s, columns: {a: int}}\n"
        "  bronze.f: {source: f, mode: full, columns: {a: int}}\n"
        "  silver.a: {sql: models/m.sql}\n"
        "  silver.b: {sql: models/m.sql, promote: {cron: \"*/5 6 * * mon-fri\"}}\n"
        "  silver.c: {sql: models/m.sql}\n  gold.d: {sql: models/m.sql}\n"
        "  gold.e: {sql: models/m.sql, promote: {age: 0s}}\n"
        "lifecycle:\n  bronze: {promote: {rows: 5}}\n"
        "  silver: {promote: {rows: 100000, age: 15m}}\n  silver.c: {promote: manual}\n");
    const enum weir_promote_when wanted[] = {WEIR_WHEN_ADVANCED, WEIR_WHEN_RULE,
                                             WEIR_WHEN_CRON,     WEIR_WHEN_MANUAL,
                                             WEIR_WHEN_ADVANCED, WEIR_WHEN_ADVANCED};
    cr_assert_eq(p->model_count, 6u);
    for (size_t i = 0; i < 6; i++)
        cr_expect_eq(p->models[i].promote.when, wanted[i], "%s", p->models[i].table.name);
    cr_expect_eq(p->models[1].promote.rows, 100000);
    cr_expect_eq(p->models[1].promote.age_ms, 900000);
    cr_expect_eq(p->models[2].promote.cron.hours, 1u << 6);
    cr_expect_str_eq(p->models[2].promote.cron_text, "*/5 6 * * mon-fri");
    weir_pipeline_free(p);
}

/* The nearer wins key by key, also inside the maps; none ends what a layer began. */
Test(read, lifecycle_by_layer_and_table)
{
    cr_assert_eq(mkdir("models", 0755), 0);
    write_bytes("models/m.sql", "SELECT id FROM bronze.a", 23);
    struct weir_pipeline *p = read_good(
        "version: 1\nname: t\nlake: {warehouse: ./lake}\nsources: {s: {files: in/*.ndjson}}\n"
        "tables:\n  bronze.a: {source: s, columns: {id: int, at: timestamptz, seen: date}}\n"
        "  bronze.b: {source: s, columns: {id: int, at: timestamptz, seen: date}}\n"
        "  bronze.c: {source: s, columns: {id: int}}\n"
        "  gold.d: {sql: models/m.sql}\n"
        "lifecycle:\n"
        "  bronze: {retain: {for: 30d, by: at}, compact: {small_files: 5}, snapshots: {retain: 7d, "
        "at_most: 500}}\n"
        "  bronze.b: {retain: {for: 6h, by: seen}, compact: {target: 1MiB}, snapshots: {retain: "
        "0s, at_least: 1}}\n"
        "  bronze.c: {retain: none, compact: none, snapshots: none}\n"
        "  gold: {snapshots: {at_most: 10}}\n");
    const struct weir_lifecycle_config *a = &p->tables[0].lifecycle, *b = &p->tables[1].lifecycle,
                                       *c = &p->tables[2].lifecycle,
                                       *d = &p->models[0].table.lifecycle;
    cr_expect_eq(a->retain_ms, 30 * 86400000LL);
    cr_expect_str_eq(a->retain_by, "at");
    cr_expect_eq(a->retain_step_ms, 86400000);
    cr_expect(a->compacts && a->small_files == 5 && a->compact_target == 128u << 20);
    cr_expect(a->expires && a->snapshots_ms == 7 * 86400000LL);
    cr_expect(a->at_least == 10 && a->at_most == 500);
    cr_expect_eq(b->retain_ms, 6 * 3600000LL);
    cr_expect_str_eq(b->retain_by, "seen");
    cr_expect_eq(b->retain_step_ms, 3600000);
    cr_expect(b->compacts && b->small_files == 5 && b->compact_target == 1u << 20);
    cr_expect(b->snapshots_ms == 0 && b->at_least == 1 && b->at_most == 500);
    cr_expect(!c->retain_ms && !c->compacts && !c->expires);
    cr_expect(d->expires && d->snapshots_ms == -1 && d->at_most == 10 && !d->compacts);
    weir_pipeline_free(p);
}

/* ---- lakes of tenants ---- */

#define TENANTS                                                                                    \
    "version: 1\nname: t\nlake:\n  tenant: {from: who, lakes: tenants.yaml}\n"                     \
    "  region: eu-west-2\n  warehouse: ./lakes/{tenant}\n"                                         \
    "sources:\n  s: {kafka: {topics: [t], properties: {bootstrap.servers: 'x:1'}}}\n"              \
    "tables:\n  bronze.t:\n    source: s\n    columns: {a: int, who: string required}\n"

static struct weir_pipeline *read_tenants(const char *pipeline, const char *tenants)
{
    write_bytes("tenants.yaml", tenants, strlen(tenants));
    return read_text(pipeline);
}

Test(read, tenants)
{
    struct weir_pipeline *p = read_tenants(
        TENANTS,
        "beta: {value: Beta Corp, region: us-east-1,\n"
        "  warehouse: 's3://{tenant}-{region}-datalake', s3: {account: '1', profile: beta, "
        "assume_role: {arn: r}}}\nacme:\n");
    char folder[4096], path[4200];
    cr_assert_not_null(p, "%s%s", reported, last_error.text);
    cr_assert_not_null(getcwd(folder, sizeof folder));
    cr_assert_eq(p->lake_count, 3);
    cr_expect_str_eq(p->tenant, "operator");
    const struct weir_pipeline *o = &p->lakes[0], *b = &p->lakes[1], *a = &p->lakes[2];
    snprintf(path, sizeof path, "%s/lakes/operator", folder);
    cr_expect_str_eq(o->warehouse, path);
    cr_expect_str_eq(p->warehouse, path);
    cr_expect_eq(o->tenancy->self, -1);
    snprintf(path, sizeof path, "%s/lakes/acme", folder);
    cr_expect_str_eq(a->warehouse, path);
    cr_expect_str_eq(a->region, "eu-west-2");
    cr_expect_eq(a->catalog, WEIR_CATALOG_SQLITE);
    cr_expect_str_eq(b->warehouse, "s3://beta-us-east-1-datalake");
    cr_expect_str_eq(b->s3.region, "us-east-1");
    cr_expect_str_eq(b->s3.role_arn, "r");
    cr_expect_str_eq(b->s3.profile, "beta");
    cr_expect_null(a->s3.role_arn, "what is of one tenant is not of another");
    cr_expect_eq(b->catalog, WEIR_CATALOG_OBJECT_STORE);
    cr_assert_eq(a->tenancy->tenant_count, 2);
    cr_expect_str_eq(a->tenancy->tenants[a->tenancy->self].value, "acme");
    cr_expect_str_eq(b->tenancy->tenants[b->tenancy->self].value, "Beta Corp");
    cr_expect_str_neq(a->digest, b->digest);
    cr_expect_eq(a->tables, p->tables);
    weir_pipeline_free(p);
}

Test(read, tenants_operator)
{
    struct weir_pipeline *p = read_tenants(TENANTS, "operator: {warehouse: ./ours}\nacme: {}\n");
    cr_assert_not_null(p, "%s%s", reported, last_error.text);
    cr_assert_eq(p->lake_count, 2);
    cr_expect_not_null(strstr(p->lakes[0].warehouse, "/ours"));
    cr_expect_eq(p->lakes[0].tenancy->tenant_count, 1);
    struct weir_pipeline *one = &p->lakes[1];
    one->whole = p;
    weir_pipeline_free(one); /* a part that was handed out alone takes the whole with it */
    cr_expect_eq(atomic_load(&context.memory.used), 0);
}

Test(read, tenants_of_whole_files)
{
    struct weir_pipeline *p = read_tenants(
        TENANTS "  bronze.f: {source: f, mode: full, columns: {who: string, n: int}}\n"
                "  bronze.g: {source: f, mode: full, columns: {n: int}}\n",
        "acme: {value: \"o'x\"}\n");
    cr_expect_null(p, "no source f");
    static const char text[] =
        "version: 1\nname: t\nlake:\n  tenant: {from: who, lakes: tenants.yaml}\n"
        "  warehouse: ./lakes/{tenant}\nsources:\n  f: {files: f.csv, format: csv}\n"
        "tables:\n  bronze.f: {source: f, mode: full, columns: {who: string, n: int}}\n"
        "  bronze.g: {source: f, mode: full, columns: {n: int}}\n";
    p = read_tenants(text, "acme: {value: \"o'x\"}\n");
    cr_assert_not_null(p, "%s%s", reported, last_error.text);
    cr_expect_eq(p->model_count, 2);
    cr_expect_eq(p->lakes[0].model_count, 0, "the operator's lake has none");
    const char *sql = p->lakes[1].models[0].sql;
    cr_expect_not_null(strstr(sql, " WHERE \"who\" = 'o''x' OR \"who\" IS NULL"), "%s", sql);
    cr_expect_null(strstr(p->lakes[1].models[1].sql, "WHERE"));
    weir_pipeline_free(p);
}

/* Errors name the file, line and column where they are. */
Test(read, tenants_wrong)
{
    static const char long_name[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {}\n"; /* 64 */
    static const struct {
        const char *tenants, *wanted;
    } cases[] = {
        {"", "tenants.yaml:1:1: the file is empty"},
        {"[a]\n", "tenants.yaml:1:1: the file is a map of keys"},
        {"operator: {}\n", "tenants.yaml:1:1: there is no tenant"},
        {"acme: {}\n\"../x\": {}\n", "tenants.yaml:2:2: '../x' is no name of a tenant"},
        {"Acme: {}\n", "tenants.yaml:1:1: 'Acme' is no name of a tenant"},
        {"a/b: {}\n", "is no name of a tenant"},
        {"-a: {}\n", "is no name of a tenant"},
        {"\"\": {}\n", "is no name of a tenant"},
        {"all: {}\n", "is no name of a tenant"},
        {"\xc3\xa9: {}\n", "is no name of a tenant"},
        {long_name, "is no name of a tenant"},
        {"acme: 5\n", "tenants.yaml:1:7: acme: expected a map of keys of `lake`"},
        {"acme: {regoin: x}\n", "tenants.yaml:1:8: acme: unknown key 'regoin'"},
        {"acme: {s3: {path_style: maybe}}\n", "tenants.yaml:1:25: acme.s3.path_style: expected"},
        {"acme: {tenant: b}\n", "tenants.yaml:1:8: acme.tenant: the entry's own name"},
        {"acme: {value: [a]}\n", "tenants.yaml:1:15: acme.value: expected a text"},
        {"acme: {value: \"\"}\n", "acme.value: expected a text"},
        {"operator: {value: x}\nacme: {}\n", "tenants.yaml:1:12: operator.value:"},
        {"acme: {}\nb: {value: acme}\n", "are the same tenant to records: 'acme'"},
        {"acme: {warehouse: ./x}\nb: {warehouse: ./x}\n", "tenants.yaml:2:1: b: its lake"},
        {"acme: {warehouse: ./x}\nb: {warehouse: ./x/y}\n", "is inside or around that of acme"},
        {"acme: {warehouse: ./lakes/operator/a}\n", "is inside or around that of operator"},
        {"acme: {warehouse: 's3://{region}-{nothing}'}\n", "unknown part {nothing}"},
        {"acme: {classification: [GDPR]}\n", "tenants.yaml:1:25: lake.classification: no policy"},
        {"acme: {catalog: {rest: {auth: none}}}\n", "acme.catalog.rest: 'uri' is missing"},
        {"acme: {catalog: {rest: {uri: 'http://h/x'}}}\nb: {catalog: {rest: {uri: "
         "'http://h/x'}}}\n",
         "b: its tables have the same names in the same catalog as those of acme"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_pipeline *p = read_tenants(TENANTS, cases[i].tenants);
        cr_expect_null(p, "%s", cases[i].tenants);
        cr_expect_not_null(strstr(reported, cases[i].wanted), "%s gave %s", cases[i].tenants,
                           reported);
        weir_pipeline_free(p);
    }
    cr_expect_null(read_text(TENANTS), "the last file again");
    unlink("tenants.yaml");
    cr_expect_null(read_text(TENANTS));
    cr_expect_not_null(strstr(reported, "weir.yaml:4:30: lake.tenant.lakes: "), "%s", reported);
}

/* The owner is told by a column that no record lacks, in every table with a source. */
Test(read, tenants_column)
{
    static const char before[] =
        "version: 1\nname: t\nlake:\n  tenant: {from: who, lakes: tenants.yaml}\n"
        "  warehouse: ./lakes/{tenant}\n"
        "sources:\n  s: {kafka: {topics: [t], properties: {bootstrap.servers: 'x:1'}}}\n"
        "tables:\n  bronze.t:\n    source: s\n    columns: ";
    static const struct {
        const char *columns, *wanted;
    } cases[] = {{"{a: int}\n", "bronze.t has no column 'who'"},
                 {"{who: string}\n", "does not require as a string the column 'who'"},
                 {"{who: int required}\n", "does not require as a string the column 'who'"}};
    for (size_t i = 0; i < 3; i++) {
        char text[2000];
        snprintf(text, sizeof text, "%s%s", before, cases[i].columns);
        cr_expect_null(read_tenants(text, "acme: {}\n"));
        cr_expect_not_null(strstr(reported, cases[i].wanted), "%s", reported);
        cr_expect_not_null(strstr(reported, "weir.yaml:4:18"), "%s", reported);
    }
}
