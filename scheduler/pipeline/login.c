/* How a client of Kafka logs in, as properties behind those of the file. */
#include "scheduler/pipeline/pipeline_int.h"

#include <string.h>

#define LOGIN_PAIRS_MAX 8

static void add(struct weir_key_value *pairs, size_t *count, const char *key, const char *value)
{
    if (value)
        pairs[(*count)++] = (struct weir_key_value){key, value};
}

const struct weir_key_value *login_pairs(struct reading *reading, const struct node *kafka,
                                         const char *ca_file, const char *shown, size_t *count)
{
    const struct node *properties = node_get(kafka, "properties"), *auth = node_get(kafka, "auth"),
                      *oauth = node_get(auth, "oauth"), *url = node_get(oauth, "token_url");
    const struct weir_key_value *given = get_pairs(reading, properties, count);
    struct weir_key_value *pairs = take(reading, *count + LOGIN_PAIRS_MAX, sizeof *pairs);
    const char *file, *secret;
    if (!oauth || !pairs || !given)
        return given;
    for (size_t i = 0; i < *count; i++) {
        pairs[i] = given[i];
        if (strcmp(given[i].key, "sasl.mechanism") == 0 ||
            strcmp(given[i].key, "sasl.mechanisms") == 0)
            complain(reading, properties, 0, "take it out of `properties`",
                     "%s.auth.oauth: %s says another way to log in", shown, given[i].key);
    }
    if (url && url->kind == NODE_SCALAR && strncmp(url->text, "http://", 7) != 0 &&
        strncmp(url->text, "https://", 8) != 0)
        complain(reading, url, 0, "as in https://host/path",
                 "%s.auth.oauth.token_url: expected an http or https address", shown);
    secret = take_secret(oauth, "client_secret", &file);
    add(pairs, count, "weir.oauth.token_url", get_text(oauth, "token_url"));
    add(pairs, count, "weir.oauth.client_id", get_text(oauth, "client_id"));
    add(pairs, count, file ? "weir.oauth.secret_file" : "weir.oauth.client_secret",
        file ? file : secret);
    add(pairs, count, "weir.oauth.scope", get_text(oauth, "scope"));
    add(pairs, count, "weir.oauth.audience", get_text(oauth, "audience"));
    add(pairs, count, "weir.oauth.ca_file", ca_file);
    return pairs;
}
