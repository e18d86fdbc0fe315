/* Which catalog knows the lake's tables, and how a REST catalog is reached. */
#include "scheduler/pipeline/pipeline_int.h"

#include <string.h>

static void check_address(struct reading *reading, const struct node *node, const char *shown)
{
    if (!node || node->kind != NODE_SCALAR)
        return;
    bool http = strncmp(node->text, "http://", 7) == 0,
         https = strncmp(node->text, "https://", 8) == 0;
    if ((http || https) && node->text[http ? 7 : 8] && !strpbrk(node->text, " \t\r\n?#@"))
        return;
    bool hidden = node->secret || node->substituted;
    complain(reading, node, 0, "as in https://host/path",
             "%s: expected an http or https address%s%s", shown, hidden ? "" : ", but there is ",
             hidden ? "" : node_quote(reading, node));
}

/* The value of a secret, and the file it came from: that one is read again when the server refuses
 * what it held. */
const char *take_secret(const struct node *map, const char *name, const char **ret_file)
{
    const struct node *node = node_get(map, name);
    *ret_file = node ? node->from_file : NULL;
    return get_text(map, name);
}

static void bind_auth(struct reading *reading, struct weir_pipeline *pipeline,
                      const struct node *rest)
{
    struct weir_catalog_rest_options *options = &pipeline->rest;
    const struct node *auth = node_get(rest, "auth"), *oauth = node_get(auth, "oauth2"),
                      *sigv4 = node_get(auth, "sigv4"), *role = node_get(sigv4, "assume_role");
    if (!auth || auth->kind != NODE_MAP)
        return;
    if (auth->count != 1) {
        complain(reading, auth, 0, NULL,
                 "lake.catalog.rest.auth: one of bearer, oauth2, sigv4, or none");
        return;
    }
    options->auth = oauth   ? WEIR_REST_AUTH_OAUTH2
                    : sigv4 ? WEIR_REST_AUTH_SIGV4
                            : WEIR_REST_AUTH_BEARER;
    options->token = take_secret(auth, "bearer", &options->token_file);
    options->token_url = get_text(oauth, "token_url");
    options->client_id = get_text(oauth, "client_id");
    options->client_secret = take_secret(oauth, "client_secret", &options->client_secret_file);
    options->scope = get_text(oauth, "scope");
    options->audience = get_text(oauth, "audience");
    options->sign_region = get_text(sigv4, "region");
    if (!options->sign_region)
        options->sign_region = pipeline->region;
    options->sign_service = get_text(sigv4, "service") ? get_text(sigv4, "service") : "glue";
    options->sign_role_arn = get_text(role, "arn");
    options->sign_external_id = get_text(role, "external_id");
    check_address(reading, node_get(oauth, "token_url"), "lake.catalog.rest.auth.oauth2.token_url");
    if (options->auth == WEIR_REST_AUTH_BEARER && options->token && !*options->token)
        complain(reading, node_get(auth, "bearer"), 0, NULL,
                 "lake.catalog.rest.auth.bearer: empty");
    if (sigv4 && !options->sign_region)
        complain(reading, auth, 0, "auth: {sigv4: {region: eu-west-2}}",
                 "lake.catalog.rest.auth.sigv4: region is missing, and lake has none");
}

static void bind_headers(struct reading *reading, struct weir_catalog_rest_options *options,
                         const struct node *map)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t count;
    const struct weir_key_value *pairs = get_pairs(reading, map, &count);
    const char **lines = take(reading, count + 1, sizeof *lines);
    options->headers = lines;
    for (size_t i = 0; lines && i < count; i++) {
        if (pairs[i].key[strspn(pairs[i].key, token)] || !*pairs[i].key ||
            strpbrk(pairs[i].value, "\r\n"))
            complain(reading, map, 0, NULL,
                     "lake.catalog.rest.headers: a name or value that no header may have");
        else
            lines[options->header_count++] = take_print(reading, "%s: %s", pairs[i].key,
                                                        pairs[i].value);
    }
    if (options->header_count > 32)
        complain(reading, map, 0, NULL, "lake.catalog.rest.headers: more than 32");
}

static void bind_rest(struct reading *reading, struct weir_pipeline *pipeline,
                      const struct node *rest, bool is_remote)
{
    const struct weir_tls_config tls = tls_bind(reading, pipeline, rest, "lake.catalog.rest");
    pipeline->rest = (struct weir_catalog_rest_options){
        .uri = get_text(rest, "uri"),
        .warehouse = get_text(rest, "warehouse"),
        .prefix = get_text(rest, "prefix"),
        .timeout_ms = get_duration_ms(rest, "timeout", 60000),
        .tls_ca_file = tls.ca_file,
        .tls_cert_file = tls.cert_file,
        .tls_key_file = tls.key_file};
    const struct node *access = node_get(rest, "access");
    pipeline->rest.access = node_is(access, "vended")    ? WEIR_REST_ACCESS_VENDED
                            : node_is(access, "signing") ? WEIR_REST_ACCESS_SIGNING
                                                         : WEIR_REST_ACCESS_OWN;
    if (pipeline->rest.access != WEIR_REST_ACCESS_OWN && !is_remote)
        complain(reading, access, 0, "access: own",
                 "lake.catalog.rest.access: a catalog gives access to S3, the warehouse is %s",
                 pipeline->warehouse ? pipeline->warehouse : "a folder");
    check_address(reading, node_get(rest, "uri"), "lake.catalog.rest.uri");
    bind_auth(reading, pipeline, rest);
    bind_headers(reading, &pipeline->rest, node_get(rest, "headers"));
}

void catalog_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *lake,
                  bool is_remote)
{
    const struct node *catalog = node_get(lake, "catalog"), *rest = node_get(catalog, "rest");
    pipeline->catalog = rest                               ? WEIR_CATALOG_REST
                        : node_is(catalog, "sqlite")       ? WEIR_CATALOG_SQLITE
                        : node_is(catalog, "object-store") ? WEIR_CATALOG_OBJECT_STORE
                        : is_remote                        ? WEIR_CATALOG_OBJECT_STORE
                                                           : WEIR_CATALOG_SQLITE;
    if (rest)
        bind_rest(reading, pipeline, rest, is_remote);
    else if (catalog && catalog->kind == NODE_MAP)
        complain(reading, catalog, 0, "catalog: {rest: {uri: https://host/path}}",
                 "lake.catalog: expected sqlite, object-store, or rest with its keys");
    if (pipeline->catalog == WEIR_CATALOG_SQLITE && is_remote)
        complain(reading, catalog, 0, "object-store is the default for s3://",
                 "lake.catalog: sqlite keeps its file in a folder, the warehouse is %s",
                 pipeline->warehouse);
    else if (pipeline->catalog == WEIR_CATALOG_SQLITE)
        pipeline->catalog_path = take_print(reading, "%s/catalog.db",
                                            pipeline->warehouse ? pipeline->warehouse : "");
}
