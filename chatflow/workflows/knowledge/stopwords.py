"""Words that say nothing of a question's subject."""

# Those of Snowball's English, those that make up questions, and those of courtesy.
WORDS = """
    a about above after again against all am an and any are as at be because been before being
    below between both but by can could did do does doing don down during each few for from
    further had has have having he her here hers herself him himself his how i if in into is it
    its itself just let ll may me might more most must my myself no nor not now of off on once
    only or other our ours ourselves out over own re s same shall she should so some such t than
    that the their theirs them themselves then there these they this those through to too under
    until up ve very was we were what when where which while who whom why will with would you your
    yours yourself yourselves

    directly find get gets getting give go goes going happen happens instead like make makes many
    mean means much need needs per possible put right show take takes thing things use used using
    want whether work works

    bye hello hey hi ok okay please sorry tell thank thanks welcome yes
"""

STOP_WORDS = frozenset(WORDS.split())

# Words that ask, by language: those that the lists of stopwordsiso lack.
QUESTIONS = """
    hi कौन किसने किसे किसको किसका किसकी क्या कब कहाँ क्यों कैसे कैसा कैसी कितना कितने कितनी
    ja 誰 だれ 何 いつ どこ なぜ どう どの どれ どんな いくら いくつ
    ko 누가 누구 무엇을 무엇이 어디에 어디서 어디 어떻게 있습니까 있나요 있어요 입니까 인가요
    nl hoeveel laat
    sw nani nini lini wapi vipi gani ngapi
    th ใคร อะไร เมื่อไร เมื่อไหร่ ที่ไหน ไหน ทำไม อย่างไร ยังไง กี่
    tr zaman kaç nerede nasıl
    uk хто кого кому чому куди звідки скільки яка яке які
    vi đâu
"""

ASKING = {code: set(asking) for code, *asking in map(str.split, QUESTIONS.strip().split("\n"))}
