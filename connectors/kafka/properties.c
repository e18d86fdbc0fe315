/* librdkafka's properties: which of them are Weir's own, which hold secrets, and the configuration
 * made of the user's and ours. A name or value that librdkafka does not know is found here, before
 * anything is connected. */
#include "connectors/kafka/kafka_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct refusal {
    const char *name; /* "x." or "x_" at the end stands for every name that begins so */
    const char *reason;
};

#define REASON_GROUP   "Weir is no member of a consumer group: offsets live in the table's commit"
#define REASON_OFFSETS "offsets are decided by the table's commit, never by the client"
#define REASON_MEMORY  "Weir sizes the queue from run.memory_limit"
#define REASON_CALLS   "Weir listens to librdkafka itself"
#define REASON_TESTS   "a hook of librdkafka's own tests"

static const struct refusal refusals[] = {
    {"auto.offset.reset", "wanted offsets that are gone must stop the run, never be skipped"},
    {"isolation.level", "Weir reads committed records, and says which were not"},
    {"enable.auto.commit", REASON_OFFSETS},
    {"auto.commit.enable", REASON_OFFSETS},
    {"auto.commit.interval.ms", REASON_OFFSETS},
    {"enable.auto.offset.store", REASON_OFFSETS},
    {"offset.store.", REASON_OFFSETS},
    {"enable.partition.eof", "the end of a window is known by it"},
    {"check.crcs", "records are always checked against their CRC"},
    {"group.id", REASON_GROUP},
    {"group.instance.id", REASON_GROUP},
    {"group.protocol", REASON_GROUP},
    {"group.protocol.type", REASON_GROUP},
    {"group.remote.assignor", REASON_GROUP},
    {"partition.assignment.strategy", REASON_GROUP},
    {"session.timeout.ms", REASON_GROUP},
    {"heartbeat.interval.ms", REASON_GROUP},
    {"max.poll.interval.ms", REASON_GROUP},
    {"coordinator.query.interval.ms", REASON_GROUP},
    {"topic.blacklist", "name the topics in `topics`"},
    {"consume.callback.max.messages", REASON_CALLS},
    {"queued.min.messages", REASON_MEMORY},
    {"queued.max.messages.kbytes", REASON_MEMORY},
    {"fetch.max.bytes", REASON_MEMORY},
    {"fetch.message.max.bytes", REASON_MEMORY},
    {"max.partition.fetch.bytes", REASON_MEMORY},
    {"message.max.bytes", "Weir writes nothing to the source"},
    {"fetch.wait.max.ms", "the end of a window is waited for in short steps"},
    {"fetch.min.bytes", "the end of a window is waited for in short steps"},
    {"allow.auto.create.topics", "a topic that is missing is an error, never made"},
    {"transactional.id", "Weir writes nothing to the source"},
    {"enabled_events", REASON_CALLS},
    {"statistics.interval.ms", REASON_CALLS},
    {"log.queue", REASON_CALLS},
    {"log.thread.name", REASON_CALLS},
    {"internal.termination.signal", REASON_CALLS},
    {"plugin.library.paths", "it loads foreign code into Weir"},
    {"test.mock.", REASON_TESTS ": use `weir dev broker`"},
    {"ut_", REASON_TESTS},
    {"weir.", "such names are Weir's own: see `auth`"},
};

static bool refusal_matches(const struct refusal *refusal, const char *name)
{
    size_t size = strlen(refusal->name);
    char last = refusal->name[size - 1];
    return last == '.' || last == '_' ? strncasecmp(name, refusal->name, size) == 0
                                      : strcasecmp(name, refusal->name) == 0;
}

const char *weir_kafka_property_refused(const char *name)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (refusal_matches(&refusals[i], name))
            return refusals[i].reason;
    return NULL;
}

bool weir_kafka_property_secret(const char *name)
{
    static const char *const parts[] = {
        "password", "secret", "token", "jaas", "key.pem", "oauthbearer.config", "credential"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strcasestr(name, parts[i]))
            return true;
    return false;
}

static weir_status property_check(const struct weir_kafka_property *property,
                                  struct weir_error *reterr)
{
    if (!property->key || !property->key[0])
        return weir_fail(reterr, WEIR_USAGE, "kafka: a property without a name");
    if (!property->value)
        return weir_fail(reterr, WEIR_USAGE, "kafka: property %s has no value", property->key);
    const char *reason = weir_kafka_property_refused(property->key);
    if (!reason)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_USAGE, "kafka: property %s cannot be set: %s",
                                   property->key, reason);
    weir_error_hint(reterr, "take %s out of `properties`", property->key);
    return status;
}

static weir_status property_set(rd_kafka_conf_t *conf, const struct weir_kafka_property *property,
                                struct weir_error *reterr)
{
    char words[512] = "";
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, property->key, property->value, words,
                                                   sizeof words);
    if (result == RD_KAFKA_CONF_OK)
        return WEIR_OK;
    if (result == RD_KAFKA_CONF_UNKNOWN) {
        weir_status status = weir_fail(reterr, WEIR_USAGE,
                                       "kafka: librdkafka %s has no property %s",
                                       rd_kafka_version_str(), property->key);
        weir_error_hint(reterr, "see librdkafka's CONFIGURATION.md for the names");
        return status;
    }
    if (weir_kafka_property_secret(property->key)) /* librdkafka's words repeat the value */
        return weir_fail(reterr, WEIR_USAGE,
                         "kafka: property %s has a value that librdkafka does not take",
                         property->key);
    return weir_fail(reterr, WEIR_USAGE, "kafka: property %s: %s", property->key, words);
}

static size_t clamp(size_t value, size_t least, size_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* A partition's share of memory is half queue, the rest a fetch in flight (a 32nd, times what
 * decompression makes of it). Each queued record costs librdkafka about 400 bytes beside its own,
 * so records are counted as well. */
static weir_status sizes_set(rd_kafka_conf_t *conf, const struct kafka_sizes *sizes,
                             struct weir_error *reterr)
{
    size_t queue = sizes->partition_bytes / 2;
    size_t fetch = clamp(sizes->partition_bytes / 32, 32u << 10, 512u << 10);
    char queue_text[24], records_text[24], fetch_text[24], whole_text[24];
    snprintf(queue_text, sizeof queue_text, "%zu", clamp(queue >> 10, 1, 2097151));
    snprintf(records_text, sizeof records_text, "%zu",
             clamp(queue / KAFKA_RECORD_OVERHEAD, 1, 10000000));
    snprintf(fetch_text, sizeof fetch_text, "%zu", fetch);
    snprintf(whole_text, sizeof whole_text, "%zu",
             clamp(fetch * sizes->active, 1u << 20, 64u << 20));
    const struct weir_kafka_property own[] = {
        {"queued.max.messages.kbytes", queue_text},
        {"queued.min.messages", records_text},
        {"fetch.message.max.bytes", fetch_text},
        {"fetch.max.bytes", whole_text},
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        WEIR_TRY(property_set(conf, &own[i], reterr));
    return WEIR_OK;
}

static weir_status conf_fill(rd_kafka_conf_t *conf, const struct weir_kafka_options *options,
                             bool committed, const struct kafka_sizes *sizes,
                             struct weir_error *reterr)
{
    static const struct weir_kafka_property defaults[] = {
        {"client.id", "weir"},
        {"reconnect.backoff.max.ms",
         "2000"}, /* a broker that comes back is found within patience */
        {"socket.connection.setup.timeout.ms", "10000"},
    };
    const struct weir_kafka_property own[] = {
        {"auto.offset.reset", "error"},
        {"isolation.level", committed ? "read_committed" : "read_uncommitted"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"check.crcs", "true"},
        {"allow.auto.create.topics", "false"},
        {"fetch.min.bytes", "1"},
        /* One fetch a broker is under way at a time, and a new partition waits until the last long
           poll ends. */
        {"fetch.wait.max.ms", "10"},
        {"fetch.error.backoff.ms", "200"},
    };
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        WEIR_TRY(property_set(conf, &defaults[i], reterr));
    for (size_t i = 0; i < options->property_count; i++) {
        if (kafka_login_property(options->properties[i].key))
            continue;
        WEIR_TRY(property_check(&options->properties[i], reterr));
        WEIR_TRY(property_set(conf, &options->properties[i], reterr));
    }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        WEIR_TRY(property_set(conf, &own[i], reterr));
    return sizes_set(conf, sizes, reterr);
}

weir_status kafka_conf_new(const struct weir_kafka_options *options, bool committed,
                           const struct kafka_sizes *sizes, rd_kafka_conf_t **ret_conf,
                           struct weir_error *reterr)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    weir_status status = conf_fill(conf, options, committed, sizes, reterr);
    if (status == WEIR_OK)
        status = kafka_login_attach(conf, options->properties, options->property_count, reterr);
    if (status != WEIR_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    *ret_conf = conf;
    return WEIR_OK;
}

/* ---- producers ---- */

static weir_status producer_property_check(const struct weir_kafka_property *property,
                                           struct weir_error *reterr)
{
    static const char *const own[] = {"enable.idempotence", "acks", "request.required.acks",
                                      "message.timeout.ms", "delivery.timeout.ms"};
    WEIR_TRY(property_check(property, reterr));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcasecmp(property->key, own[i]) == 0)
            return weir_fail(
                reterr, WEIR_USAGE,
                "kafka: property %s cannot be set: each change is waited for until all "
                "in-sync replicas have it",
                property->key);
    return WEIR_OK;
}

static weir_status producer_fill(rd_kafka_conf_t *conf,
                                 const struct weir_kafka_property *properties, size_t count,
                                 int64_t timeout_ms, struct weir_error *reterr)
{
    char timeout[24];
    snprintf(timeout, sizeof timeout, "%lld", (long long)timeout_ms);
    const struct weir_kafka_property before[] = {{"client.id", "weir"},
                                                 {"reconnect.backoff.max.ms", "2000"},
                                                 /* as Java's: librdkafka's own puts records with
                                                  * an empty key anywhere, tombstones too */
                                                 {"partitioner", "murmur2"},
                                                 {"linger.ms", "5"}},
                                     behind[] = {{"enable.idempotence", "true"},
                                                 {"acks", "all"},
                                                 /* how large a record may be is the topic's */
                                                 {"message.max.bytes", "67108864"},
                                                 {"message.timeout.ms", timeout}};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        WEIR_TRY(property_set(conf, &before[i], reterr));
    for (size_t i = 0; i < count; i++) {
        if (kafka_login_property(properties[i].key))
            continue;
        WEIR_TRY(producer_property_check(&properties[i], reterr));
        WEIR_TRY(property_set(conf, &properties[i], reterr));
    }
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++)
        WEIR_TRY(property_set(conf, &behind[i], reterr));
    return WEIR_OK;
}

weir_status weir_kafka_producer_conf(const struct weir_kafka_property *properties, size_t count,
                                     int64_t timeout_ms, rd_kafka_conf_t **ret_conf,
                                     struct weir_error *reterr)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    weir_status status = producer_fill(conf, properties, count, timeout_ms, reterr);
    if (status == WEIR_OK)
        status = kafka_login_attach(conf, properties, count, reterr);
    if (status != WEIR_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    *ret_conf = conf;
    return WEIR_OK;
}

/* Names and values one by one are checked elsewhere, each at its place. */
weir_status weir_kafka_producer_check(const struct weir_kafka_property *properties, size_t count,
                                      struct weir_error *reterr)
{
    for (size_t i = 0; i < count; i++)
        if (!weir_kafka_property_refused(properties[i].key))
            WEIR_TRY(producer_property_check(&properties[i], reterr));
    return WEIR_OK;
}

/* Kafka's own rule for topic names; anything else would only come back as an unclear refusal. */
static bool topic_name_valid(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return size > 0 && size <= 249 && name[size] == 0 && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

bool kafka_topic_is_regex(const char *text)
{
    size_t size = strlen(text);
    return size >= 2 && text[0] == '/' && text[size - 1] == '/';
}

weir_status kafka_topics_check(const struct weir_kafka_options *options, struct weir_error *reterr)
{
    if (options->topic_count == 0)
        return weir_fail(reterr, WEIR_USAGE, "kafka: no topics");
    for (size_t i = 0; i < options->topic_count; i++) {
        const char *topic = options->topics[i];
        if (kafka_topic_is_regex(topic)) {
            if (options->topic_count > 1)
                return weir_fail(reterr, WEIR_USAGE,
                                 "kafka: topics are names or one /regex/, not both (%s)", topic);
        } else if (!topic_name_valid(topic)) {
            weir_status status = weir_fail(reterr, WEIR_USAGE, "kafka: \"%.260s\" is no topic name",
                                           topic);
            weir_error_hint(
                reterr, "a name is 1 to 249 of a-z A-Z 0-9 . _ -; a pattern is written /regex/");
            return status;
        }
        for (size_t j = 0; j < i; j++)
            if (strcmp(options->topics[j], topic) == 0)
                return weir_fail(reterr, WEIR_USAGE, "kafka: topic %s is named twice", topic);
    }
    return WEIR_OK;
}

/* The value given last, or NULL. */
static const char *property_given(const struct weir_kafka_options *options, const char *key)
{
    const char *value = NULL;
    for (size_t i = 0; i < options->property_count; i++)
        if (options->properties[i].key && strcmp(options->properties[i].key, key) == 0)
            value = options->properties[i].value;
    return value;
}

static bool port_valid(const char *text, size_t size)
{
    long port = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || port > 65535)
            return false;
        port = port * 10 + (text[i] - '0');
    }
    return port >= 1 && port <= 65535;
}

/* [protocol://]host[:port], host perhaps [IPv6]. */
static bool server_valid(const char *text, size_t size)
{
    size_t host = 0, colon = size;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == ' ')
            return false;
        if (text[i] == '/')
            host = i + 1;
        colon = text[i] == ':' ? i : text[i] == ']' ? size : colon;
    }
    if (host > 0 && (host < 3 || memcmp(text + host - 3, "://", 3) != 0))
        return false;
    colon = colon < host ? size : colon;
    return colon > host && (colon == size || port_valid(text + colon + 1, size - colon - 1));
}

static weir_status servers_check(const struct weir_kafka_options *options,
                                 struct weir_error *reterr)
{
    const char *servers = property_given(options, "bootstrap.servers");
    if (!servers)
        servers = property_given(options, "metadata.broker.list");
    if (!servers) {
        weir_status status = weir_fail(reterr, WEIR_USAGE,
                                       "kafka: property bootstrap.servers is missing");
        weir_error_hint(reterr, "properties: {bootstrap.servers: \"host:9092\"}");
        return status;
    }
    for (const char *at = servers;; at++) {
        at += strspn(at, " ");
        size_t size = strcspn(at, ",");
        if (size == 0 || !server_valid(at, size)) {
            weir_status status = weir_fail(
                reterr, WEIR_USAGE,
                "kafka: property bootstrap.servers: \"%.200s\" is no list of host:port", servers);
            weir_error_hint(reterr, "bootstrap.servers: \"host1:9092,host2:9092\"");
            return status;
        }
        at += size;
        if (!*at)
            return WEIR_OK;
    }
}

/* Without a source of tokens librdkafka would wait for one forever. */
static weir_status mechanism_check(const struct weir_kafka_options *options,
                                   struct weir_error *reterr)
{
    const char *mechanism = property_given(options, "sasl.mechanisms"),
               *other = property_given(options, "sasl.mechanism");
    const char *unsecured = property_given(options, "enable.sasl.oauthbearer.unsecure.jwt");
    mechanism = mechanism ? mechanism : other;
    if (!mechanism || strcasecmp(mechanism, "OAUTHBEARER") != 0 ||
        (unsecured && strcasecmp(unsecured, "true") == 0))
        return WEIR_OK;
    weir_status status = weir_fail(
        reterr, WEIR_UNSUPPORTED,
        "kafka: property sasl.mechanisms: OAUTHBEARER is not supported yet");
    weir_error_hint(reterr,
                    "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, GSSAPI and TLS client certificates are");
    return status;
}

static weir_status regex_check(const struct weir_kafka_options *options, struct weir_error *reterr)
{
    if (!kafka_topic_is_regex(options->topics[0]))
        return WEIR_OK;
    regex_t regex;
    WEIR_TRY(kafka_regex_compile(options->topics[0], &regex, reterr));
    regfree(&regex);
    return WEIR_OK;
}

weir_status kafka_regex_compile(const char *topic, regex_t *ret_regex, struct weir_error *reterr)
{
    char pattern[1024], words[200];
    size_t size = strlen(topic);
    if (size > sizeof pattern - 8)
        return weir_fail(reterr, WEIR_USAGE,
                         "kafka: topic pattern of %zu bytes; at most %zu are taken", size,
                         sizeof pattern - 8);
    snprintf(pattern, sizeof pattern, "^(%.*s)$", (int)(size - 2), topic + 1);
    int code = regcomp(ret_regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (code == 0)
        return WEIR_OK;
    regerror(code, ret_regex, words, sizeof words);
    return weir_fail(reterr, WEIR_USAGE, "kafka: topic pattern %s: %s", topic, words);
}

weir_status weir_kafka_check(const struct weir_kafka_options *options, struct weir_error *reterr)
{
    WEIR_TRY(kafka_topics_check(options, reterr));
    WEIR_TRY(regex_check(options, reterr));
    WEIR_TRY(servers_check(options, reterr));
    WEIR_TRY(mechanism_check(options, reterr));
    rd_kafka_conf_t *conf;
    WEIR_TRY(kafka_conf_new(options, /* committed= */ true, &(struct kafka_sizes){1u << 20, 1},
                            &conf, reterr));
    rd_kafka_conf_destroy(conf);
    return WEIR_OK;
}
