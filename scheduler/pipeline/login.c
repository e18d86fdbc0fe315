/* How a client logs in: its certificates, and for Kafka what is put behind the file's properties.
 */
#include "scheduler/pipeline/pipeline_int.h"

#include <string.h>

#define LOGIN_PAIRS_MAX 12

struct weir_tls_config tls_bind(struct reading *reading, const struct weir_pipeline *pipeline,
                                const struct node *node, const char *shown)
{
    const struct node *map = node_get(node, "tls");
    struct weir_tls_config tls = {.ca_file = get_path(reading, get_text(map, "ca_file")),
                                  .cert_file = get_path(reading, get_text(map, "cert_file")),
                                  .key_file = get_path(reading, get_text(map, "key_file"))};
    if (!map)
        return pipeline->tls;
    if (!tls.cert_file != !tls.key_file)
        complain(reading, map, 0, "cert_file: client.pem, key_file: client.key",
                 "%s.tls: %s is missing: our certificate and its key go together", shown,
                 tls.cert_file ? "key_file" : "cert_file");
    return tls;
}

struct pairs {
    struct weir_key_value *items;
    size_t count;
};

static void add(struct pairs *pairs, const char *key, const char *value)
{
    if (value)
        pairs->items[pairs->count++] = (struct weir_key_value){key, value};
}

/* What the file says itself wins. */
static void add_new(struct pairs *pairs, size_t given, const char *key, const char *value)
{
    for (size_t i = 0; i < given; i++)
        if (strcmp(pairs->items[i].key, key) == 0)
            return;
    add(pairs, key, value);
}

static void add_oauth(struct reading *reading, const struct node *oauth, const char *ca_file,
                      const char *shown, struct pairs *pairs)
{
    const struct node *url = node_get(oauth, "token_url");
    const char *file, *secret = take_secret(oauth, "client_secret", &file);
    if (url && url->kind == NODE_SCALAR && strncmp(url->text, "http://", 7) != 0 &&
        strncmp(url->text, "https://", 8) != 0)
        complain(reading, url, 0, "as in https://host/path",
                 "%s.auth.oauth.token_url: expected an http or https address", shown);
    add(pairs, "weir.oauth.token_url", get_text(oauth, "token_url"));
    add(pairs, "weir.oauth.client_id", get_text(oauth, "client_id"));
    add(pairs, file ? "weir.oauth.secret_file" : "weir.oauth.client_secret", file ? file : secret);
    add(pairs, "weir.oauth.scope", get_text(oauth, "scope"));
    add(pairs, "weir.oauth.audience", get_text(oauth, "audience"));
    add(pairs, "weir.oauth.ca_file", ca_file);
}

static void add_iam(struct reading *reading, const struct weir_pipeline *pipeline,
                    const struct node *auth, const char *shown, struct pairs *pairs)
{
    const struct node *iam = node_get(auth, "msk_iam"), *role = node_get(iam, "assume_role");
    const char *region = get_text(iam, "region");
    if (!region)
        region = pipeline->region;
    if (!region)
        complain(reading, auth, 0, "auth: {msk_iam: {region: eu-west-2}}",
                 "%s.auth.msk_iam: region is missing, and lake has none", shown);
    add(pairs, "weir.iam.region", region);
    add(pairs, "weir.iam.role_arn", get_text(role, "arn"));
    add(pairs, "weir.iam.external_id", get_text(role, "external_id"));
}

const struct weir_key_value *login_pairs(struct reading *reading,
                                         const struct weir_pipeline *pipeline,
                                         const struct node *kafka,
                                         const struct weir_tls_config *tls, const char *shown,
                                         size_t *count)
{
    const struct node *properties = node_get(kafka, "properties"), *auth = node_get(kafka, "auth"),
                      *oauth = node_get(auth, "oauth"), *iam = node_get(auth, "msk_iam");
    const struct weir_key_value *given = get_pairs(reading, properties, count);
    struct pairs pairs = {take(reading, *count + LOGIN_PAIRS_MAX, sizeof *pairs.items), 0};
    const size_t own = *count;
    const char *way = oauth ? "oauth" : "msk_iam";
    bool by_iam = iam || (auth && auth->kind == NODE_SCALAR && strcmp(auth->text, "msk_iam") == 0);
    if (!pairs.items || !given)
        return given;
    for (size_t i = 0; i < own; i++) {
        add(&pairs, given[i].key, given[i].value);
        if ((oauth || by_iam) && (strcmp(given[i].key, "sasl.mechanism") == 0 ||
                                  strcmp(given[i].key, "sasl.mechanisms") == 0))
            complain(reading, properties, 0, "take it out of `properties`",
                     "%s.auth.%s: %s says another way to log in", shown, way, given[i].key);
    }
    if (oauth && iam)
        complain(reading, auth, 0, NULL, "%s.auth: oauth or msk_iam, not both", shown);
    add_new(&pairs, own, "ssl.ca.location", tls->ca_file);
    add_new(&pairs, own, "ssl.certificate.location", tls->cert_file);
    add_new(&pairs, own, "ssl.key.location", tls->key_file);
    if (oauth)
        add_oauth(reading, oauth, tls->ca_file, shown, &pairs);
    else if (by_iam)
        add_iam(reading, pipeline, auth, shown, &pairs);
    *count = pairs.count;
    return pairs.items;
}
