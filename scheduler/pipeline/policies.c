/* Policies of the pipeline file: which of them this lake must keep to, and the places it names held
 * against their regions. What they say of classes is checked once lineage is known
 * (scheduler/promote/classes.c). */
#include "scheduler/pipeline/pipeline_int.h"

#include <string.h>

struct policy_reading {
    struct reading *reading;
    const struct weir_pipeline *pipeline;
    const struct weir_policy_config *policy;
    const char *words; /* its regions, for errors */
};

static bool region_allowed(const struct weir_policy_config *policy, const char *region)
{
    bool allowed = !policy->has_regions;
    for (size_t i = 0; i < policy->region_count; i++)
        allowed |= region && strcmp(policy->regions[i], region) == 0;
    return allowed;
}

/* "eu-west-2" of a host such as s3.eu-west-2.amazonaws.com or x.eu-west-2.es.amazonaws.com; false:
 * the host does not tell. */
static bool region_of_url(const char *url, char *ret_region, size_t size)
{
    const char *host = strstr(url, "://") ? strstr(url, "://") + 3 : url;
    size_t length = strcspn(host, "/:?#");
    const char *end = host + length, *tail = strstr(host, ".amazonaws.com");
    if (!tail || tail >= end)
        return false;
    for (const char *label = host; label < tail; label += strcspn(label, ".") + 1) {
        size_t label_size = strcspn(label, ".");
        const char *dash = memchr(label, '-', label_size);
        bool is_region = label_size >= 9 && label_size < size && dash == label + 2 &&
                         label[label_size - 2] == '-' && label[label_size - 1] >= '1' &&
                         label[label_size - 1] <= '9' && !memchr(label, '_', label_size);
        if (is_region) {
            memcpy(ret_region, label, label_size);
            ret_region[label_size] = '\0';
            return true;
        }
    }
    return false;
}

static void check_place(struct policy_reading *at, const struct node *node, const char *shown,
                        const char *region)
{
    if (node && region && !region_allowed(at->policy, region))
        complain(at->reading, node, 0, NULL, "%s: %s is not among the regions of policy %s (%s)",
                 shown, region, at->policy->name, at->words);
}

static void check_url(struct policy_reading *at, const struct node *node, const char *shown)
{
    char region[64];
    if (node && node->kind == NODE_SCALAR && region_of_url(node->text, region, sizeof region))
        check_place(at, node, shown, region);
}

static void check_sinks(struct policy_reading *at, const struct node *sinks)
{
    for (size_t i = 0; sinks && sinks->kind == NODE_MAP && i < sinks->count; i++) {
        const char *name = sinks->entries[i].key->text;
        const struct node *search = node_get(sinks->entries[i].value, "opensearch"),
                          *hook = node_get(sinks->entries[i].value, "webhook"),
                          *sigv4 = node_get(node_get(search, "auth"), "sigv4");
        check_url(at, node_get(search, "url"),
                  take_print(at->reading, "sinks.%s.opensearch.url", name));
        check_url(at, node_get(hook, "url"), take_print(at->reading, "sinks.%s.webhook.url", name));
        check_place(at, node_get(sigv4, "region"),
                    take_print(at->reading, "sinks.%s.opensearch.auth.sigv4.region", name),
                    get_text(sigv4, "region"));
    }
}

/* The lake, its store and whoever is told of it lie in one of the regions. */
static void check_regions(struct policy_reading *at, const struct node *root,
                          const struct node *name)
{
    const struct node *lake = node_get(root, "lake"), *s3 = node_get(lake, "s3");
    const char *region = at->pipeline->region;
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
    check_url(at, node_get(s3, "endpoint"), "lake.s3.endpoint");
    check_url(at, node_get(node_get(node_get(root, "lineage"), "openlineage"), "url"),
              "lineage.openlineage.url");
    check_sinks(at, node_get(root, "sinks"));
}

static void bind_policy(struct reading *reading, const struct node *key, const struct node *node,
                        struct weir_policy_config *policy)
{
    const struct node *personal = node_get(node, "personal"),
                      *sinks = node_get_key(personal, "sinks"),
                      *unmask = node_get_key(personal, "unmask_with");
    *policy = (struct weir_policy_config){.name = key->text,
                                          .location = node_location(reading, key),
                                          .has_regions = node_get(node, "regions") != NULL,
                                          .has_sinks = sinks != NULL,
                                          .has_unmask = unmask != NULL};
    policy->regions = get_texts(reading, node, "regions", &policy->region_count);
    policy->sinks = get_texts(reading, personal, "sinks", &policy->sink_count);
    policy->unmask_with = get_texts(reading, personal, "unmask_with", &policy->unmask_count);
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
    size_t count = policies && policies->kind == NODE_MAP ? policies->count : 0;
    struct weir_policy_config *bound = take(reading, count + 1, sizeof *bound);
    if (!bound)
        return;
    lineage_bind(reading, pipeline, root);
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
            continue;
        }
        struct policy_reading at = {reading, pipeline, policy, NULL};
        policy->applies = true;
        check_regions(&at, root, name);
    }
}
