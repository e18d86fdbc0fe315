/* Policies of the pipeline file: which of them this lake must keep to, and the places it names held
 * against their regions. What they say of classes is checked once lineage is known
 * (scheduler/promote/classes.c). */
#include "scheduler/pipeline/pipeline_int.h"
#include "scheduler/pipeline/places.h"

#include <string.h>

struct policy_reading {
    struct reading *reading;
    const struct weir_pipeline *pipeline;
    const struct weir_policy_config *policy;
    const char *words; /* its regions, for errors */
    bool is_first;     /* of those with regions: what holds for each is told once */
};

static bool region_allowed(const struct weir_policy_config *policy, const char *region)
{
    bool allowed = !policy->has_regions;
    for (size_t i = 0; i < policy->region_count; i++)
        allowed |= region && strcmp(policy->regions[i], region) == 0;
    return allowed;
}

static void check_place(struct policy_reading *at, const struct node *node, const char *shown,
                        const char *region)
{
    if (node && region && !region_allowed(at->policy, region))
        complain(at->reading, node, 0, NULL, "%s: %s is not among the regions of policy %s (%s)",
                 shown, region, at->policy->name, at->words);
}

/* Where somebody lies who is told of the data: as `region` beside the address states, else as the
 * name of the host tells. */
struct told {
    const struct node *address; /* one, or several with commas between */
    const char *shown;          /* "sinks.alerts.opensearch.url" */
    const struct node *stated;  /* NULL: not stated */
    const char *stated_shown;   /* "sinks.alerts.region" */
};

static void check_host(struct policy_reading *at, const struct told *told, const char *address,
                       size_t size)
{
    char region[WEIR_REGION_SIZE];
    enum weir_place place = weir_place_of(address, size, region);
    if (place == WEIR_PLACE_REGION)
        check_place(at, told->address, told->shown, region);
    else if (place == WEIR_PLACE_UNKNOWN && !told->stated && at->is_first)
        complain(at->reading, told->address, 0,
                 take_print(at->reading, "%s: REGION says where it lies", told->stated_shown),
                 "%s: no region can be told from the name of its host, and policy %s allows only "
                 "%s",
                 told->shown, at->policy->name, at->words);
}

static void check_told(struct policy_reading *at, const struct told *told)
{
    if (!told->address || told->address->kind != NODE_SCALAR || !told->shown || !told->stated_shown)
        return;
    if (told->stated && told->stated->kind == NODE_SCALAR)
        check_place(at, told->stated, told->stated_shown, told->stated->text);
    for (const char *address = told->address->text; *address;) {
        size_t size = strcspn(address, ",");
        while (size && *address == ' ')
            address++, size--;
        if (size)
            check_host(at, told, address, size);
        address += size + (address[size] == ',');
    }
}

static void check_url(struct policy_reading *at, const struct node *map, const char *address,
                      const char *path)
{
    check_told(
        at, &(struct told){node_get(map, address), take_print(at->reading, "%s.%s", path, address),
                           node_get(map, "region"), take_print(at->reading, "%s.region", path)});
}

static const struct node *brokers_of(const struct node *kafka)
{
    const struct node *properties = node_get(kafka, "properties"),
                      *servers = node_get(properties, "bootstrap.servers");
    return servers ? servers : node_get(properties, "metadata.broker.list");
}

static void check_sink(struct policy_reading *at, const struct node *key, const struct node *sink)
{
    const struct node *search = node_get(sink, "opensearch"), *hook = node_get(sink, "webhook"),
                      *kafka = node_get(sink, "kafka"),
                      *sigv4 = node_get(node_get(search, "auth"), "sigv4"),
                      *msk = node_get(node_get(kafka, "auth"), "msk_iam"),
                      *signs = node_get(sigv4, "region"), *stated = node_get(sink, "region");
    const char *name = take_print(at->reading, "sinks.%s", key->text);
    const char *region = take_print(at->reading, "%s.region", name);
    const char *signing = take_print(at->reading, "%s.opensearch.auth.sigv4.region", name);
    check_told(at, &(struct told){node_get(search, "url"),
                                  take_print(at->reading, "%s.opensearch.url", name),
                                  stated ? stated : signs, stated ? region : signing});
    check_told(at, &(struct told){node_get(hook, "url"),
                                  take_print(at->reading, "%s.webhook.url", name), stated, region});
    check_told(
        at, &(struct told){brokers_of(kafka),
                           take_print(at->reading, "%s.kafka.properties.bootstrap.servers", name),
                           stated, region});
    if (stated)
        check_place(at, signs, signing, get_text(sigv4, "region"));
    check_place(at, node_get(msk, "region"),
                take_print(at->reading, "%s.kafka.auth.msk_iam.region", name),
                get_text(msk, "region"));
}

static void check_catalog(struct policy_reading *at, const struct node *rest)
{
    const struct node *stated = node_get(rest, "region"),
                      *sigv4 = node_get(node_get(rest, "auth"), "sigv4"),
                      *signs = node_get(sigv4, "region");
    const char *signing = "lake.catalog.rest.auth.sigv4.region";
    check_told(at, &(struct told){node_get(rest, "uri"), "lake.catalog.rest.uri",
                                  stated ? stated : signs,
                                  stated || !signs ? "lake.catalog.rest.region" : signing});
    if (stated)
        check_place(at, signs, signing, get_text(sigv4, "region"));
}

/* Where the gateway sends what it is given. Sources that are only read may lie anywhere. */
static void check_source(struct policy_reading *at, const struct node *key,
                         const struct node *source, const struct node *gateway)
{
    const struct node *chosen = node_get(gateway, "sources");
    bool sent_to = gateway && !chosen;
    for (size_t i = 0; i < list_size(chosen); i++)
        sent_to |= node_is(list_item(chosen, i), key->text);
    const char *name = take_print(at->reading, "sources.%s", key->text);
    if (sent_to)
        check_told(at, &(struct told){
                           brokers_of(node_get(source, "kafka")),
                           take_print(at->reading, "%s.kafka.properties.bootstrap.servers", name),
                           node_get(node_get(source, "kafka"), "region"),
                           take_print(at->reading, "%s.kafka.region", name)});
}

/* Sinks, registries, the catalog, the gateway's brokers, and who is told of lineage. */
static void check_tolds(struct policy_reading *at, const struct node *root)
{
    static const char *const owners[] = {"sources", "tables"};
    const struct node *sinks = node_get(root, "sinks");
    check_catalog(at, node_get(node_get(node_get(root, "lake"), "catalog"), "rest"));
    check_url(at, node_get(node_get(root, "lineage"), "openlineage"), "url", "lineage.openlineage");
    for (size_t o = 0; o < 2; o++) {
        const struct node *map = node_get(root, owners[o]);
        for (size_t i = 0; map && map->kind == NODE_MAP && i < map->count; i++) {
            const struct node *key = map->entries[i].key, *value = map->entries[i].value;
            check_url(at, node_get(value, "registry"), "url",
                      take_print(at->reading, "%s.%s.registry", owners[o], key->text));
            if (o == 0)
                check_source(at, key, value, node_get(root, "gateway"));
        }
    }
    for (size_t i = 0; sinks && sinks->kind == NODE_MAP && i < sinks->count; i++)
        check_sink(at, sinks->entries[i].key, sinks->entries[i].value);
}

/* The lake, its store and whoever is told of it lie in one of the regions. An endpoint whose name
 * tells no region is the lake's own, in lake.region; what its server says is asked for before the
 * first write. */
static void check_regions(struct policy_reading *at, const struct node *root,
                          const struct node *name)
{
    const struct node *lake = node_get(root, "lake"), *s3 = node_get(lake, "s3"),
                      *endpoint = node_get(s3, "endpoint");
    const char *region = at->pipeline->region;
    char of_host[WEIR_REGION_SIZE];
    for (size_t i = 0; i < at->policy->region_count; i++)
        at->words = take_print(at->reading, "%s%s%s", at->words ? at->words : "",
                               at->words ? ", " : "", at->policy->regions[i]);
    if (!at->policy->has_regions || at->reading->status != WEIR_OK)
        return;
    if (!at->words)
        at->words = "none";
    if (!region)
        complain(at->reading, name, 0, NULL, "lake.region is not set, and policy %s allows only %s",
                 at->policy->name, at->words);
    check_place(at, node_get(lake, "region"), "lake.region", region);
    check_place(at, node_get(s3, "region"), "lake.s3.region", get_text(s3, "region"));
    if (endpoint && endpoint->kind == NODE_SCALAR &&
        weir_place_of(endpoint->text, strlen(endpoint->text), of_host) == WEIR_PLACE_REGION)
        check_place(at, endpoint, "lake.s3.endpoint", of_host);
    check_tolds(at, root);
}

/* The key lies where the bucket does, and belongs to the same account; with or without policies. */
static void check_key(struct reading *reading, const struct weir_pipeline *pipeline,
                      const struct node *root)
{
    const struct node *key = node_get(node_get(node_get(root, "lake"), "s3"), "kms_key");
    const struct weir_s3_config *s3 = &pipeline->s3;
    const char *wanted = pipeline->region ? pipeline->region : s3->region;
    char region[WEIR_REGION_SIZE], account[16];
    if (!key || key->kind != NODE_SCALAR || strncmp(key->text, "arn:", 4) != 0)
        return; /* an id or an alias: of the account that asks, in the bucket's region */
    if (!weir_place_of_arn(key->text, "kms", region, account)) {
        complain(reading, key, 0, "arn:aws:kms:REGION:ACCOUNT:key/ID, a key's id, or alias/NAME",
                 "lake.s3.kms_key: no ARN of a KMS key");
        return;
    }
    if (wanted && strcmp(region, wanted) != 0)
        complain(reading, key, 0, "a key is used in its own region only",
                 "lake.s3.kms_key: the key lies in %s, and the lake in %s", region, wanted);
    if (s3->account && strcmp(account, s3->account) != 0)
        complain(reading, key, 0, NULL,
                 "lake.s3.kms_key: the key belongs to account %s, and the lake to %s "
                 "(lake.s3.account)",
                 account, s3->account);
}

static void bind_ages(struct reading *reading, const struct node *node,
                      struct weir_policy_config *policy)
{
    size_t count = node && node->kind == NODE_MAP ? node->count : 0;
    struct weir_policy_age *ages = take(reading, count + 1, sizeof *ages);
    for (size_t i = 0; ages && i < count; i++) {
        const struct node *key = node->entries[i].key;
        ages[i] = (struct weir_policy_age){.layer = key->text,
                                           .location = node_location(reading, key),
                                           .ms = get_duration_ms(node, key->text, INT64_MAX)};
    }
    policy->ages = ages;
    policy->age_count = ages ? count : 0;
}

/* ---- classes ---- */

/* Policies that say what personal columns must keep to; `in_force`: of those of this lake. */
static const char *personal_policies(struct reading *reading, const struct weir_pipeline *pipeline,
                                     bool in_force)
{
    const char *names = NULL;
    for (size_t i = 0; i < pipeline->policy_count; i++) {
        const struct weir_policy_config *policy = &pipeline->policies[i];
        if (policy->has_personal && (policy->applies || !in_force))
            names = take_print(reading, "%s%s%s", names ? names : "", names ? ", " : "",
                               policy->name);
    }
    return names;
}

/* A lake that none of them holds for may not have such columns. A file without any says nothing of
 * them. */
static void check_classes(struct reading *reading, const struct weir_pipeline *pipeline,
                          const struct node *root)
{
    const char *policies = personal_policies(reading, pipeline, false);
    const struct node *tables = node_get(root, "tables");
    if (!policies || personal_policies(reading, pipeline, true) || !tables ||
        tables->kind != NODE_MAP)
        return;
    for (size_t i = 0; i < tables->count; i++) {
        const struct node *columns = node_get(tables->entries[i].value, "columns");
        for (size_t c = 0; columns && columns->kind == NODE_MAP && c < columns->count; c++) {
            const struct node *class_ = node_get(columns->entries[c].value, "class");
            if (class_ && node_is(class_, "personal"))
                complain(reading, class_, 0,
                         take_print(reading, "lake.classification: [%s]", policies),
                         "tables.%s.columns.%s is personal, and no policy that says what such "
                         "columns must keep to holds for this lake (there are: %s)",
                         tables->entries[i].key->text, columns->entries[c].key->text, policies);
        }
    }
}

/* ---- all ---- */

static void bind_policy(struct reading *reading, const struct node *key, const struct node *node,
                        struct weir_policy_config *policy)
{
    const struct node *personal = node_get(node, "personal"),
                      *sinks = node_get_key(personal, "sinks"),
                      *unmask = node_get_key(personal, "unmask_with");
    *policy = (struct weir_policy_config){.name = key->text,
                                          .location = node_location(reading, key),
                                          .has_regions = node_get(node, "regions") != NULL,
                                          .has_personal = personal != NULL,
                                          .has_sinks = sinks != NULL,
                                          .has_unmask = unmask != NULL};
    policy->regions = get_texts(reading, node, "regions", &policy->region_count);
    policy->sinks = get_texts(reading, personal, "sinks", &policy->sink_count);
    policy->unmask_with = get_texts(reading, personal, "unmask_with", &policy->unmask_count);
    bind_ages(reading, node_get(node, "max_age"), policy);
}

static void no_policy(struct reading *reading, const struct weir_pipeline *pipeline,
                      const struct node *name)
{
    const char *known[64], *hint;
    size_t count = 0;
    for (; count < pipeline->policy_count && count < 64; count++)
        known[count] = pipeline->policies[count].name;
    hint = suggest(reading, name->text, known, count);
    complain(reading, name, 0, hint ? hint : "policies: {NAME: {regions: [...]}}",
             "lake.classification: no policy %s", node_quote(reading, name));
}

/* `lineage`: who is told what comes from what. */
static void lineage_bind(struct reading *reading, struct weir_pipeline *pipeline,
                         const struct node *root)
{
    const struct node *told = node_get(node_get(root, "lineage"), "openlineage"),
                      *url = node_get(told, "url");
    pipeline->openlineage = (struct weir_openlineage_config){
        .url = get_text(told, "url"),
        .api_key = get_text(told, "api_key"),
        .namespace = get_text(told, "namespace"),
        .timeout_ms = get_duration_ms(told, "timeout", 2000)};
    if (pipeline->openlineage.api_key && !*pipeline->openlineage.api_key)
        pipeline->openlineage.api_key = NULL; /* a variable that is not set */
    if (url && url->kind == NODE_SCALAR && strncmp(url->text, "http://", 7) != 0 &&
        strncmp(url->text, "https://", 8) != 0)
        complain(reading, url, 0, NULL, "lineage.openlineage.url: expected http(s)://host:port");
}

void policies_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *root)
{
    const struct node *policies = node_get(root, "policies"),
                      *classes = node_get(node_get(root, "lake"), "classification");
    size_t count = policies && policies->kind == NODE_MAP ? policies->count : 0, pins = 0;
    struct weir_policy_config *bound = take(reading, count + 1, sizeof *bound);
    bool known = true;
    if (!bound)
        return;
    lineage_bind(reading, pipeline, root);
    check_key(reading, pipeline, root);
    for (size_t i = 0; i < count; i++)
        bind_policy(reading, policies->entries[i].key, policies->entries[i].value, &bound[i]);
    pipeline->policies = bound;
    pipeline->policy_count = count;
    for (size_t i = 0; i < list_size(classes); i++) {
        const struct node *name = list_item(classes, i);
        struct weir_policy_config *policy = NULL;
        for (size_t j = 0; name->kind == NODE_SCALAR && j < count; j++)
            if (strcmp(bound[j].name, name->text) == 0)
                policy = &bound[j];
        if (name->kind != NODE_SCALAR)
            continue;
        if (!policy) {
            no_policy(reading, pipeline, name);
            known = false;
            continue;
        }
        pins += policy->has_regions;
        struct policy_reading at = {reading, pipeline, policy, NULL, pins == 1};
        policy->applies = true;
        check_regions(&at, root, name);
    }
    quarantine_bind(pipeline);
    if (known)
        check_classes(reading, pipeline, root);
}
