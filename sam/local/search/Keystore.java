import java.lang.reflect.Method;
import java.nio.file.Path;

/**
 * Writes opensearch.keystore: Keystore DIR KEY=VALUE... By reflection, because javac 17 cannot read OpenSearch's
 * classes of Java 21.
 */
public class Keystore {
  public static void main(String[] args) throws Exception {
    Class<?> wrapper = Class.forName("org.opensearch.common.settings.KeyStoreWrapper");
    Object store = wrapper.getMethod("create").invoke(null);
    Method set = wrapper.getDeclaredMethod("setString", String.class, char[].class);
    set.setAccessible(true);
    for (int i = 1; i < args.length; i++) {
      String[] pair = args[i].split("=", 2);
      set.invoke(store, pair[0], pair[1].toCharArray());
    }
    wrapper.getMethod("save", Path.class, char[].class).invoke(store, Path.of(args[0]), new char[0]);
  }
}
