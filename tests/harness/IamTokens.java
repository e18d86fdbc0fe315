/* What a broker of Amazon MSK does with a login by IAM: takes the token for an address of the service Kafka that was
 * signed for IAM, and signs it again with the secret of the one user there is (AKIDEXAMPLE). */
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.*;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.*;

public class IamTokens implements AuthenticateCallbackHandler {
    static final String ID = "AKIDEXAMPLE", SECRET = "secret-of-iam", HOST = "kafka.eu-west-2.amazonaws.com";

    record Token(String value, long lifetimeMs) implements OAuthBearerToken {
        public Set<String> scope() { return Set.of(); }
        public String principalName() { return ID; }
        public Long startTimeMs() { return null; }
    }

    static byte[] hmac(byte[] key, String text) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }

    static String sha256(String text) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    static OAuthBearerToken check(String value) throws Exception {
        URI address = URI.create(new String(Base64.getUrlDecoder().decode(value), StandardCharsets.UTF_8));
        TreeSet<String> signed = new TreeSet<>();
        Map<String, String> given = new HashMap<>();
        for (String pair : address.getRawQuery().split("&")) {
            String name = pair.substring(0, pair.indexOf('='));
            given.put(name, URLDecoder.decode(pair.substring(pair.indexOf('=') + 1), StandardCharsets.UTF_8));
            if (!name.equals("X-Amz-Signature") && !name.equals("User-Agent"))
                signed.add(pair);
        }
        String time = given.get("X-Amz-Date"), scope = time.substring(0, 8) + "/eu-west-2/kafka-cluster/aws4_request";
        if (!address.getHost().equals(HOST) || !address.getPath().equals("/") || !"kafka-cluster:Connect".equals(given.get("Action"))
            || !(ID + "/" + scope).equals(given.get("X-Amz-Credential")) || !"host".equals(given.get("X-Amz-SignedHeaders")))
            throw new IllegalArgumentException("not for this cluster");
        String request = "GET\n/\n" + String.join("&", signed) + "\nhost:" + HOST + "\n\nhost\n" + sha256("");
        byte[] key = ("AWS4" + SECRET).getBytes(StandardCharsets.UTF_8);
        for (String part : scope.split("/"))
            key = hmac(key, part);
        String signature = HexFormat.of().formatHex(hmac(key, "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + sha256(request)));
        if (!signature.equals(given.get("X-Amz-Signature")))
            throw new IllegalArgumentException("another signature");
        long made = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC).parse(time, Instant::from).toEpochMilli();
        long ends = made + Long.parseLong(given.get("X-Amz-Expires")) * 1000;
        if (ends < System.currentTimeMillis() || ends > System.currentTimeMillis() + 900_000)
            throw new IllegalArgumentException("ended");
        return new Token(value, ends);
    }

    @Override
    public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback token) {
                try {
                    token.token(check(token.tokenValue()));
                } catch (Exception error) {
                    token.error("invalid_token", null, null);
                }
            } else if (callback instanceof OAuthBearerExtensionsValidatorCallback more) {
                more.inputExtensions().map().keySet().forEach(more::valid);
            } else {
                throw new UnsupportedCallbackException(callback);
            }
        }
    }

    @Override
    public void configure(Map<String, ?> settings, String mechanism, List<AppConfigurationEntry> entries) {}

    @Override
    public void close() {}
}
