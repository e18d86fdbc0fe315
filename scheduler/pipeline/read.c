/* Files to a pipeline: read, merge, check, then bind lake, run and sources. */
#include "scheduler/pipeline/pipeline_int.h"

#include "connectors/kafka/kafka.h"
#include "engine/base/limits.h"
#include "engine/base/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

static bool is_s3(const char *path)
{
    return strncmp(path, "s3://", 5) == 0;
}

const char *get_path(struct reading *reading, const char *text)
{
    if (!text || *text == '/' || is_s3(text))
        return text;
    while (text[0] == '.' && text[1] == '/')
        for (text += 2; *text == '/';)
            text++;
    if (*text == 0 || strcmp(text, ".") == 0)
        return reading->directory;
    return take_print(reading, "%s/%s",
                      strcmp(reading->directory, "/") == 0 ? "" : reading->directory, text);
}

const struct weir_key_value *get_pairs(struct reading *reading, const struct node *map,
                                       size_t *ret_count)
{
    size_t count = 0;
    struct weir_key_value *pairs = take(reading, map ? map->count + 1 : 1, sizeof *pairs);
    for (size_t i = 0; pairs && map && map->kind == NODE_MAP && i < map->count; i++)
        if (map->entries[i].value->kind == NODE_SCALAR)
            pairs[count++] = (struct weir_key_value){map->entries[i].key->text,
                                                     map->entries[i].value->text};
    *ret_count = count;
    return pairs;
}

/* ---- lake
 * -----------------------------------------------------------------------------------------------------
 */

/* {tenant}, {region}, {environment} in the warehouse. NULL after a complaint. */
static const char *fill_template(struct reading *reading, const struct weir_pipeline *pipeline,
                                 const struct node *node)
{
    const struct {
        const char *name, *value;
    } parts[] = {{"tenant", pipeline->tenant},
                 {"region", pipeline->region},
                 {"environment", pipeline->environment}};
    const char *at = node->text, *open, *filled = "";
    while (filled && (open = strchr(at, '{')) != NULL) {
        const char *close = strchr(open, '}');
        size_t i = 0, size = close ? (size_t)(close - open - 1) : 0,
               position = (size_t)(open - node->text);
        while (i < 3 &&
               (strlen(parts[i].name) != size || memcmp(parts[i].name, open + 1, size) != 0))
            i++;
        if (!close || i == 3) {
            complain(reading, node, position, "there are {tenant}, {region} and {environment}",
                     "lake.warehouse: unknown part %.*s",
                     close ? (int)(size + 2 < 60 ? size + 2 : 60) : 1, open);
            return NULL;
        }
        if (!parts[i].value) {
            complain(reading, node, position, NULL,
                     "lake.warehouse: {%s} is used, but lake.%s is not set", parts[i].name,
                     parts[i].name);
            return NULL;
        }
        filled = take_print(reading, "%s%.*s%s", filled, (int)(open - at), at, parts[i].value);
        at = close + 1;
    }
    return filled ? take_print(reading, "%s%s", filled, at) : NULL;
}

static bool bucket_good(const char *bucket, size_t size)
{
    if (size < 3 || size > 63 || strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") < size)
        return false;
    return bucket[0] != '-' && bucket[0] != '.' && bucket[size - 1] != '-' &&
           bucket[size - 1] != '.' && !memmem(bucket, size, "..", 2);
}

static void bind_warehouse(struct reading *reading, struct weir_pipeline *pipeline,
                           const struct node *lake)
{
    const struct node *node = node_get(lake, "warehouse");
    const char *filled = node ? fill_template(reading, pipeline, node) : NULL;
    if (!filled)
        return;
    const char *scheme = strstr(filled, "://");
    if (scheme && !is_s3(filled)) {
        complain(reading, node, 0, "a folder, or s3://bucket/prefix",
                 "lake.warehouse: %.*s:// is no store that Weir knows",
                 (int)(scheme - filled < 40 ? scheme - filled : 40), filled);
        return;
    }
    if (is_s3(filled)) {
        size_t size = strcspn(filled + 5, "/");
        if (!bucket_good(filled + 5, size))
            complain(reading, node, 0, "3 to 63 of a-z 0-9 - .",
                     "lake.warehouse: '%.*s' is no bucket's name", (int)(size < 100 ? size : 100),
                     filled + 5);
    }
    char *text = take_print(reading, "%s", get_path(reading, filled));
    for (size_t size = text ? strlen(text) : 0; size > 1 && text[size - 1] == '/'; size--)
        text[size - 1] = 0;
    pipeline->warehouse = text;
    catalog_bind(reading, pipeline, lake, is_s3(filled));
}

void lake_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *root)
{
    const struct node *lake = node_get(root, "lake"), *s3 = node_get(lake, "s3"),
                      *role = node_get(s3, "assume_role");
    if (node_get(lake, "tenant") && node_get(lake, "tenant")->kind == NODE_SCALAR)
        pipeline->tenant = get_text(lake, "tenant");
    pipeline->environment = get_text(lake, "environment");
    pipeline->region = get_text(lake, "region");
    pipeline->classification = get_texts(reading, lake, "classification",
                                         &pipeline->classification_count);
    pipeline->tags = get_pairs(reading, node_get(lake, "tags"), &pipeline->tag_count);
    pipeline->s3 = (struct weir_s3_config){.endpoint = get_text(s3, "endpoint"),
                                           .region = get_text(s3, "region"),
                                           .kms_key = get_text(s3, "kms_key"),
                                           .account = get_text(s3, "account"),
                                           .profile = get_text(s3, "profile"),
                                           .versions_ms = get_duration_ms(s3, "versions", 0),
                                           .role_arn = get_text(role, "arn"),
                                           .role_external_id = get_text(role, "external_id"),
                                           .path_style = get_boolean(s3, "path_style", false)};
    if (!pipeline->s3.region)
        pipeline->s3.region = pipeline->region;
    pipeline->tls = tls_bind(reading, pipeline, lake, "lake");
    pipeline->s3.tls = tls_bind(reading, pipeline, s3, "lake.s3");
    bind_warehouse(reading, pipeline, lake);
}

/* ---- run
 * ------------------------------------------------------------------------------------------------------
 */

static uint64_t number_of_file(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long long value = 0;
    if (file) {
        if (fscanf(file, "%llu", &value) != 1)
            value = 0; /* "max": no limit */
        fclose(file);
    }
    return value;
}

/* Bytes that this process may use: the cgroup's limit (v2, then v1), else the machine's memory. */
static uint64_t memory_there(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t machine = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 1ull << 30;
    uint64_t group = number_of_file("/sys/fs/cgroup/memory.max");
    if (!group)
        group = number_of_file("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    return group && group < machine ? group : machine;
}

static void bind_run(struct reading *reading, struct weir_pipeline *pipeline,
                     const struct node *root)
{
    const struct node *run = node_get(root, "run"), *spill = node_get(run, "spill"),
                      *window = node_get(run, "window");
    double share = 0.75;
    const char *limit = get_text(run, "memory_limit");
    pipeline->threads = (int)get_whole(run, "threads", reading->context->thread_count);
    if (!limit || parse_percent(limit, strlen(limit), &share) ||
        !weir_text_size(limit, strlen(limit), &pipeline->memory_limit))
        pipeline->memory_limit = (uint64_t)((double)memory_there() * share);
    pipeline->spill_dir = get_text(spill, "dir") ? get_path(reading, get_text(spill, "dir"))
                                                 : "/tmp/weir";
    pipeline->spill_limit = get_size(spill, "limit", 10ull << 30);
    pipeline->window_max_records = get_whole(window, "max_records", 2000000);
    pipeline->window_max_bytes = get_size(window, "max_bytes", 1ull << 30);
    pipeline->deadline_ms = get_duration_ms(run, "deadline", 0);
}

/* ---- sources
 * --------------------------------------------------------------------------------------------------
 */

static void bind_start(struct reading *reading, struct weir_source_config *source,
                       const struct node *start, const char *shown)
{
    int64_t micros;
    source->start = WEIR_START_EARLIEST;
    if (!start || node_is(start, "earliest"))
        return;
    if (node_is(start, "latest")) {
        source->start = WEIR_START_LATEST;
        return;
    }
    if (start->kind == NODE_SCALAR && weir_text_timestamptz(start->text, start->size, &micros)) {
        source->start = WEIR_START_TIME;
        source->start_time_ms = micros / 1000;
        return;
    }
    if (start->kind == NODE_SCALAR) {
        static const char *const known[] = {"earliest", "latest"};
        const char *hint = start->substituted ? NULL : suggest(reading, start->text, known, 2);
        complain(reading, start, 0, hint ? hint : "as in 2026-11-01T00:00:00Z",
                 "%s.start: expected earliest, latest, a time with zone, or {partition: offset}, "
                 "but there is %s",
                 shown, node_quote(reading, start));
        return;
    }
    struct weir_start_offset *offsets = take(reading, start->count + 1, sizeof *offsets);
    source->start = WEIR_START_OFFSETS;
    source->start_offsets = offsets;
    for (size_t i = 0; offsets && i < start->count; i++) {
        int64_t partition, offset;
        const struct node *key = start->entries[i].key, *value = start->entries[i].value;
        if (!weir_text_int64(key->text, key->size, &partition) || partition < 0 ||
            partition > INT32_MAX) {
            complain(reading, key, 0, NULL,
                     "%s.start: expected a partition's number, but there is %s", shown,
                     node_quote(reading, key));
            continue;
        }
        if (value->kind == NODE_SCALAR && weir_text_int64(value->text, value->size, &offset))
            offsets[source->start_offset_count++] = (struct weir_start_offset){(int32_t)partition,
                                                                               offset};
    }
}

static const char *without_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : text;
}

/* Those that people set; the whole list is librdkafka's CONFIGURATION.md. */
static const char *const common_properties[] = {
    "bootstrap.servers",
    "client.id",
    "client.rack",
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "sasl.kerberos.service.name",
    "sasl.kerberos.principal",
    "sasl.kerberos.keytab",
    "sasl.oauthbearer.config",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
    "ssl.cipher.suites",
    "socket.timeout.ms",
    "socket.keepalive.enable",
    "socket.receive.buffer.bytes",
    "broker.address.family",
    "broker.address.ttl",
    "connections.max.idle.ms",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "metadata.max.age.ms",
    "topic.metadata.refresh.interval.ms",
    "receive.message.max.bytes",
    "api.version.request",
    "debug",
    "log_level",
};
#define COMMON_PROPERTIES (sizeof common_properties / sizeof *common_properties)

/* Each property by itself, so that every wrong one is found, at its own place. */
void check_properties(struct reading *reading, const struct node *properties, const char *shown)
{
    bool servers = false, complete = properties && properties->kind == NODE_MAP;
    const char *topic = "any";
    for (size_t i = 0; complete && i < properties->count; i++) {
        const struct node *key = properties->entries[i].key, *value = properties->entries[i].value;
        servers |= node_is(key, "bootstrap.servers") || node_is(key, "metadata.broker.list");
        if (value->kind != NODE_SCALAR)
            continue;
        if (strncmp(key->text, "weir.", 5) == 0) { /* a login's, which are not librdkafka's */
            complain(reading, key, 0, NULL, "%s.properties: property %s cannot be set: %s", shown,
                     key->text, weir_kafka_property_refused(key->text));
            continue;
        }
        struct weir_kafka_property pair[2] = {{key->text, value->text},
                                              {"bootstrap.servers", "localhost:9092"}};
        struct weir_kafka_options options = {
            .topics = &topic,
            .topic_count = 1,
            .properties = pair,
            .property_count = node_is(key, "bootstrap.servers") ? 1 : 2};
        struct weir_error error = {0};
        if (weir_kafka_check(&options, &error) == WEIR_OK)
            continue;
        bool unknown = strstr(error.text, "has no property") != NULL,
             refused = unknown || weir_kafka_property_refused(key->text);
        if (unknown) {
            const char *hint = suggest(reading, key->text, common_properties, COMMON_PROPERTIES);
            complain(reading, key, 0, hint ? hint : error.hint,
                     "%s.properties: librdkafka has no property %s", shown,
                     node_quote(reading, key));
            continue;
        }
        const char *words = without_prefix(error.text, "kafka: ");
        if (value->secret || value->substituted)
            words = refused ? words
                            : take_print(reading,
                                         "property %s has a value that librdkafka does not take",
                                         key->text);
        complain(reading, refused ? key : value, 0, error.hint, "%s.properties: %s", shown,
                 words ? words : "");
    }
    if (complete && !servers)
        complain(reading, properties, 0, "properties: {bootstrap.servers: \"host:9092\"}",
                 "%s.properties: bootstrap.servers is missing", shown);
}

static void check_topics(struct reading *reading, const struct node *topics, const char *shown)
{
    for (size_t i = 0; i < list_size(topics); i++) {
        const struct node *topic = list_item(topics, i);
        struct weir_kafka_property servers = {"bootstrap.servers", "localhost:9092"};
        struct weir_kafka_options options = {.topics = (const char *const[]){topic->text},
                                             .topic_count = 1,
                                             .properties = &servers,
                                             .property_count = 1};
        struct weir_error error = {0};
        if (topic->kind == NODE_SCALAR && weir_kafka_check(&options, &error) != WEIR_OK)
            complain(reading, topic, 0, error.hint, "%s.topics: %s", shown,
                     topic->substituted ? "no topic name" : without_prefix(error.text, "kafka: "));
        bool regex = topic->kind == NODE_SCALAR && topic->size > 1 && topic->text[0] == '/' &&
                     topic->text[topic->size - 1] == '/';
        if (regex && list_size(topics) > 1)
            complain(reading, topic, 0, NULL, "%s.topics: names, or one /regex/, not both", shown);
        for (size_t j = 0; topic->kind == NODE_SCALAR && j < i; j++)
            if (node_is(list_item(topics, j), topic->text))
                complain(reading, topic, 0, NULL, "%s.topics: %s is named twice", shown,
                         node_quote(reading, topic));
    }
    if (topics && list_size(topics) == 0)
        complain(reading, topics, 0, NULL, "%s.topics: no topic", shown);
}

/* One character of ASCII. */
static char get_character(struct reading *reading, const struct node *csv, const char *key,
                          char standard, const char *shown)
{
    const char *text = get_text(csv, key);
    if (!text)
        return standard;
    if (strcmp(text, "tab") == 0)
        return '\t';
    if (text[0] == '\0' || text[1] != '\0' || text[0] == '\n' || text[0] == '\r' ||
        (unsigned char)text[0] >= 0x80)
        complain(reading, node_get(csv, key), 0, NULL, "sources.%s.csv.%s: expected one character",
                 shown, key);
    return text[0];
}

static void bind_csv(struct reading *reading, struct weir_source_config *source,
                     const struct node *csv)
{
    const char *null_text = get_text(csv, "null_text"), *encoding = get_text(csv, "encoding");
    source->csv = (struct weir_csv_config){
        .delimiter = get_character(reading, csv, "delimiter", ',', source->name),
        .quote = get_character(reading, csv, "quote", '"', source->name),
        .header = get_boolean(csv, "header", true),
        .latin1 = encoding && strcmp(encoding, "latin1") == 0,
        .null_text = null_text ? null_text : ""};
    if (csv && strcmp(source->format, "csv") != 0)
        complain(reading, csv, 0, "format: csv", "sources.%s.csv: the format is %s", source->name,
                 source->format);
    if (source->csv.delimiter == source->csv.quote)
        complain(reading, csv, 0, NULL, "sources.%s.csv: delimiter and quote are the same",
                 source->name);
}

static void bind_source(struct reading *reading, const struct weir_pipeline *pipeline,
                        struct weir_source_config *source, const struct node *key,
                        const struct node *value)
{
    const struct node *kafka = node_get(value, "kafka"), *files = node_get(value, "files");
    const char *shown = take_print(reading, "sources.%s.kafka", key->text);
    source->name = key->text;
    source->format = get_text(value, "format");
    if (!source->format)
        source->format = "json";
    bind_csv(reading, source, node_get(value, "csv"));
    source->is_kafka = kafka != NULL;
    if (kafka && (strcmp(source->format, "csv") == 0 || strcmp(source->format, "parquet") == 0))
        complain(reading, node_get(value, "format"), 0, "json",
                 "sources.%s.format: %s is of files, not of Kafka records", key->text,
                 source->format);
    const struct node *registry = node_get(value, "registry"),
                      *framing = node_get(value, "framing");
    source->framed = framing && framing->kind == NODE_SCALAR &&
                     strcmp(framing->text, "confluent") == 0;
    if (source->framed && (!kafka || strcmp(source->format, "json") != 0))
        complain(reading, framing, 0, NULL, "sources.%s.framing: it is for JSON records of Kafka",
                 key->text);
    registry_bind(reading, pipeline, &source->registry, registry,
                  take_print(reading, "sources.%s.registry", key->text));
    if (registry && (!kafka || strcmp(source->format, "avro") != 0))
        complain(reading, registry, 0, kafka ? "framing: confluent" : NULL,
                 "sources.%s.registry: it is for Avro records of Kafka", key->text);
    if (kafka && strcmp(source->format, "avro") == 0 && !node_get_key(value, "registry"))
        complain(reading, node_get(value, "format"), 0, "registry: {url: https://...}",
                 "sources.%s.format: Avro records of Kafka name their schema by its id in a "
                 "registry: registry is missing",
                 key->text);
    if (kafka && files)
        complain(reading, files, 0, NULL, "sources.%s: kafka or files, not both", key->text);
    if (!kafka && !files && !node_get_key(value, "kafka") && !node_get_key(value, "files"))
        complain(reading, key, 0, NULL, "sources.%s: expected kafka or files", key->text);
    if (files)
        source->files = get_path(reading, files->text);
    if (!kafka || !shown)
        return;
    source->topics = get_texts(reading, kafka, "topics", &source->topic_count);
    check_topics(reading, node_get(kafka, "topics"), shown);
    bind_start(reading, source, node_get(kafka, "start"), shown);
    source->group = get_text(kafka, "group");
    source->transactional = get_boolean(kafka, "transactional", false);
    source->headers = get_boolean(kafka, "headers", false);
    const struct weir_tls_config tls = tls_bind(reading, pipeline, kafka, shown);
    source->properties = login_pairs(reading, pipeline, kafka, &tls, shown,
                                     &source->property_count);
    check_properties(reading, node_get(kafka, "properties"), shown);
}

static void bind_sources(struct reading *reading, struct weir_pipeline *pipeline,
                         const struct node *root)
{
    const struct node *sources = node_get(root, "sources");
    size_t count = sources ? sources->count : 0;
    struct weir_source_config *bound = take(reading, count + 1, sizeof *bound);
    pipeline->sources = bound;
    for (size_t i = 0; bound && i < count; i++) {
        const struct node *key = sources->entries[i].key;
        if (strspn(key->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
                key->size ||
            key->size > WEIR_NAME_SIZE_MAX)
            complain(reading, key, 0, "a-z A-Z 0-9 _ -", "sources: %s is no name of a source",
                     node_quote(reading, key));
        bind_source(reading, pipeline, &bound[pipeline->source_count++], key,
                    sources->entries[i].value);
    }
}

/* ---- all
 * ------------------------------------------------------------------------------------------------------
 */

void pipeline_digest(struct reading *reading, struct weir_pipeline *pipeline)
{
    XXH3_state_t *state = XXH3_createState();
    char hex[33];
    XXH128_canonical_t canonical;
    if (!state) {
        reading->status = weir_fail(&reading->error, WEIR_NO_MEMORY, "no memory for a digest");
        return;
    }
    XXH3_128bits_reset(state);
    const char *const parts[] = {pipeline->name, pipeline->tenant, pipeline->warehouse};
    for (size_t i = 0; i < 3; i++)
        XXH3_128bits_update(state, parts[i] ? parts[i] : "", parts[i] ? strlen(parts[i]) + 1 : 1);
    for (size_t i = 0; i < pipeline->table_count; i++)
        XXH3_128bits_update(state, pipeline->tables[i].digest ? pipeline->tables[i].digest : "",
                            pipeline->tables[i].digest ? 33 : 1);
    for (size_t i = 0; i < pipeline->model_count; i++)
        XXH3_128bits_update(
            state, pipeline->models[i].table.digest ? pipeline->models[i].table.digest : "",
            pipeline->models[i].table.digest ? 33 : 1);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    weir_print_hex(hex, canonical.digest, sizeof canonical.digest);
    pipeline->digest = take_text(reading, hex, 32);
}

static void bind(struct reading *reading, struct weir_pipeline *pipeline, struct node *root)
{
    struct node *base = root;
    keys_check(reading, root);
    const struct node *tenants = tenants_read(reading, root),
                      *tenant = node_get(node_get(root, "lake"), "tenant");
    pipeline->name = get_text(root, "name");
    pipeline->owner = get_text(root, "owner");
    if (tenants)
        root = tenants_root(reading, root, tenants, WEIR_TENANT_OPERATOR);
    if (tenant && tenant->kind == NODE_MAP)
        pipeline->tenant = WEIR_TENANT_OPERATOR;
    pipeline->tree = (const struct weir_pipeline_node *)root;
    lake_bind(reading, pipeline, root);
    bind_run(reading, pipeline, root);
    bind_sources(reading, pipeline, root);
    tables_bind(reading, pipeline, node_get(root, "tables"), node_get(root, "lifecycle"));
    sinks_bind(reading, pipeline, root);
    policies_bind(reading, pipeline, root);
    gateway_bind(reading, pipeline, root);
    pipeline_digest(reading, pipeline);
    if (tenants && reading->complaint_count == 0)
        tenants_bind(reading, pipeline, base, tenants);
}

static weir_status open_files(struct reading *reading, const char *const *files, size_t count,
                              struct weir_error *reterr)
{
    if (count == 0 || count > FILE_COUNT_MAX)
        return weir_fail(reterr, WEIR_USAGE, "%zu pipeline files; there may be 1 to %d", count,
                         FILE_COUNT_MAX);
    WEIR_TRY(weir_arena_zero(reading->arena, count + /* tenants */ 1, sizeof *reading->files,
                             &reading->files, reterr));
    size_t left = WEIR_PIPELINE_FILE_SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        struct source_file *file = &reading->files[i];
        char *text;
        if (is_s3(files[i]))
            return weir_fail(reterr, WEIR_USAGE,
                             "%s: pipeline files on s3:// are not in this version of Weir; copy it "
                             "to a local file",
                             files[i]);
        if (strcmp(files[i], "-") == 0)
            return weir_fail(reterr, WEIR_USAGE, "a pipeline file cannot come from standard input");
        WEIR_TRY(weir_arena_copy(reading->arena, files[i], strlen(files[i]), &text, reterr));
        file->path = text;
        weir_status status = file_read(reading, files[i], files[i], left, &text, &file->size,
                                       reterr);
        if (status == WEIR_NOT_FOUND || status == WEIR_IO) {
            weir_error_hint(reterr, "name it by -p FILE, or make one by `weir init`");
            if (reterr)
                reterr->status = WEIR_USAGE;
            return WEIR_USAGE;
        }
        WEIR_TRY(status);
        file->text = text;
        left -= file->size;
        reading->file_count++;
    }
    return WEIR_OK;
}

static weir_status find_directory(struct reading *reading, struct weir_pipeline *pipeline,
                                  struct weir_error *reterr)
{
    char absolute[PATH_MAX];
    if (!realpath(reading->files[0].path, absolute))
        return weir_fail(reterr, WEIR_USAGE, "%s: its folder cannot be found",
                         reading->files[0].path);
    char *slash = strrchr(absolute, '/');
    char *directory;
    WEIR_TRY(weir_arena_copy(reading->arena, absolute,
                             slash == absolute ? 1 : (size_t)(slash - absolute), &directory,
                             reterr));
    reading->directory = pipeline->directory = directory;
    pipeline->file = reading->files[0].path;
    return WEIR_OK;
}

static weir_status read_all(struct reading *reading, struct weir_pipeline *pipeline,
                            const char *const *files, size_t file_count,
                            void (*report)(void *argument, const char *text), void *argument,
                            struct weir_error *reterr)
{
    WEIR_TRY(open_files(reading, files, file_count, reterr));
    WEIR_TRY(find_directory(reading, pipeline, reterr));
    struct node *root = NULL;
    bool whole = true;
    for (size_t i = 0; i < file_count; i++) {
        struct node *tree = tree_read(reading, (int)i);
        whole &= tree != NULL;
        root = tree && root ? tree_merge(reading, root, tree) : tree ? tree : root;
    }
    if (whole && reading->status == WEIR_OK)
        bind(reading, pipeline, root);
    if (reading->status != WEIR_OK) {
        if (reterr)
            *reterr = reading->error;
        return reading->status;
    }
    return complaints_report(reading, report, argument, reterr);
}

weir_status weir_pipeline_read(struct weir_context *context, const char *const *files,
                               size_t file_count, void (*report)(void *argument, const char *text),
                               void *argument, struct weir_pipeline **ret_pipeline,
                               struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *pipeline, &pipeline, reterr));
    weir_arena_init(&pipeline->arena, &context->memory);
    struct reading reading = {.context = context, .arena = &pipeline->arena};
    weir_status status = read_all(&reading, pipeline, files, file_count, report, argument, reterr);
    if (status != WEIR_OK) {
        weir_pipeline_free(pipeline);
        return status;
    }
    *ret_pipeline = pipeline;
    return WEIR_OK;
}

void weir_pipeline_free(struct weir_pipeline *pipeline)
{
    if (pipeline && pipeline->whole)
        pipeline = pipeline->whole;
    if (!pipeline || pipeline->is_part)
        return;
    weir_arena_done(&pipeline->arena);
    weir_free(pipeline);
}
