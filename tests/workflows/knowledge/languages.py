"""Small documents in many languages: a question that each answers, and two that none does."""

from typing import NamedTuple


class Language(NamedTuple):
    """
    Args:
        title: the document's.
        text: its text.
        question: what it answers, as people ask it.
        foreign: what no document answers.
        alike: the same, asked in the words of *question*.
    """

    title: str
    text: str
    question: str
    foreign: str
    alike: str


LANGUAGES = {
    "Amharic": Language(
        "የሠራተኞች መመሪያ",
        "የምሳ ሰዓት ከቀኑ ስድስት ሰዓት ተኩል ነው። ካፍቴሪያው በመጀመሪያው ፎቅ ላይ ይገኛል።",
        "የምሳ ሰዓት መቼ ነው?",
        "የኢትዮጵያ ዋና ከተማ የት ነው?",
        "የአውቶቡስ ጣቢያ የት ነው?",
    ),
    "Arabic": Language(
        "دليل المكتب",
        "تفتح المكتبة أبوابها من التاسعة صباحا حتى الخامسة مساء. تحفظ المفاتيح عند الحارس.",
        "متى تفتح المكتبة أبوابها؟",
        "من كتب رواية الحرب والسلام؟",
        "متى تقلع الطائرة إلى باريس؟",
    ),
    "Bulgarian": Language(
        "Служебен правилник",
        "Паркингът се заключва всяка вечер в десет часа. Картите се получават от рецепцията.",
        "Кога се заключва паркингът?",
        "Колко висока е Айфеловата кула?",
        "Кога се ражда Моцарт?",
    ),
    "Chinese": Language(
        "员工手册",
        "报销单据必须在每月二十五日之前交给财务部。差旅费凭发票报销。",
        "报销单据什么时候交给财务部？",
        "巧克力蛋糕怎么做？",
        "火车什么时候到北京？",
    ),
    "Czech": Language(
        "Provozní řád",
        "Klíče od skladu se půjčují na vrátnici. Sklad se zamyká v šest hodin večer.",
        "Kde se půjčují klíče od skladu?",
        "Kdo vyhrál mistrovství světa ve fotbale?",
        "Kde se pěstují pomeranče od moře?",
    ),
    "Dutch": Language(
        "Huisregels",
        "De fietsenstalling wordt elke ochtend om zeven uur geopend. Kapotte fietsen gaan naar de "
        "conciërge.",
        "Hoe laat wordt de fietsenstalling geopend?",
        "Waar is Rembrandt geboren?",
        "Hoe laat wordt de wedstrijd gespeeld?",
    ),
    "Finnish": Language(
        "Talon säännöt",
        "Sauna lämmitetään perjantaisin kello viisi. Pyyhkeet saa vastaanotosta.",
        "Milloin sauna lämmitetään?",
        "Kuka kirjoitti Kalevalan?",
        "Milloin Mozart syntyi?",
    ),
    "French": Language(
        "Règlement intérieur",
        "Les badges perdus se remplacent au bureau de la sécurité. Il faut une pièce d'identité.",
        "Où est-ce que les badges perdus se remplacent ?",
        "Comment est-ce qu'on prépare une mousse au chocolat ?",
        "Où est-ce que les tigres blancs se cachent ?",
    ),
    "German": Language(
        "Hausordnung",
        "Der Aufzug wird am ersten Dienstag des Monats gewartet. Störungen nimmt der Hausmeister "
        "entgegen.",
        "Wann wird der Aufzug gewartet?",
        "Wer hat die Zauberflöte komponiert?",
        "Wann wird der König gekrönt?",
    ),
    "Greek": Language(
        "Κανονισμός",
        "Η κουζίνα καθαρίζεται κάθε Παρασκευή το απόγευμα. Τα ποτήρια πλένονται στο χέρι.",
        "Πότε καθαρίζεται η κουζίνα;",
        "Ποιος έγραψε την Οδύσσεια;",
        "Πότε γεννήθηκε η Κλεοπάτρα;",
    ),
    "Hebrew": Language(
        "נהלי המשרד",
        "חדר הכושר פתוח בימים ראשון עד חמישי משש בבוקר. מגבות נמצאות בארון.",
        "מתי חדר הכושר פתוח?",
        "איך אופים עוגת שוקולד?",
        "מתי נולד מוצרט?",
    ),
    "Hindi": Language(
        "कार्यालय के नियम",
        "वेतन पर्ची हर महीने की पाँच तारीख को भेजी जाती है। छुट्टी का आवेदन प्रबंधक को दें।",
        "वेतन पर्ची कब भेजी जाती है?",
        "ताजमहल किसने बनवाया था?",
        "बारिश कब होती है?",
    ),
    "Hungarian": Language(
        "Házirend",
        "A nyomtató papírja a második emeleti szekrényben van. A festéket Kata rendeli.",
        "Hol van a nyomtató papírja?",
        "Mikor született Bartók Béla?",
        "Hol van a legnagyobb piramis?",
    ),
    "Indonesian": Language(
        "Peraturan kantor",
        "Ruang rapat dipesan melalui resepsionis paling lambat sehari sebelumnya.",
        "Bagaimana ruang rapat dipesan?",
        "Siapa presiden pertama Indonesia?",
        "Bagaimana kue cokelat dibuat?",
    ),
    "Italian": Language(
        "Regolamento",
        "La caldaia si controlla ogni anno a settembre. Il tecnico chiama il portiere.",
        "Quando si controlla la caldaia?",
        "Chi ha dipinto la Gioconda?",
        "Quando si gioca la finale?",
    ),
    "Japanese": Language(
        "社内ルール",
        "会議室の予約は総務部に連絡します。使用後は照明を消してください。",
        "会議室の予約は誰に連絡しますか？",
        "富士山の高さはどのくらいですか？",
        "東京タワーは誰が設計しましたか？",
    ),
    "Korean": Language(
        "사내 안내",
        "주차장은 지하 이층에 있습니다. 주차권은 안내 데스크에서 받습니다.",
        "주차장은 어디에 있습니까?",
        "한글은 누가 만들었습니까?",
        "에펠탑은 어디에 있습니까?",
    ),
    "Persian": Language(
        "آیین‌نامه",
        "کلید انبار نزد نگهبان است و تا ساعت شش تحویل داده می‌شود.",
        "کلید انبار کجا است؟",
        "پایتخت استرالیا کجا است؟",
        "برج ایفل کجا است؟",
    ),
    "Polish": Language(
        "Regulamin biura",
        "Faktury przyjmuje księgowość do piętnastego dnia miesiąca. Kopie trafiają do archiwum.",
        "Kto przyjmuje faktury?",
        "Gdzie urodził się Chopin?",
        "Kto wynalazł żarówkę?",
    ),
    "Portuguese": Language(
        "Regulamento",
        "A piscina é limpa às segundas-feiras de manhã. As toalhas ficam no vestiário.",
        "Quando é que a piscina é limpa?",
        "Quem escreveu Os Lusíadas?",
        "Quando é que a guerra é declarada?",
    ),
    "Russian": Language(
        "Правила офиса",
        "Пропуск в здание выдают на первом этаже. Для этого нужен паспорт.",
        "Где выдают пропуск в здание?",
        "Кто написал роман о войне и мире?",
        "Где зимуют аисты в Африке?",
    ),
    "Spanish": Language(
        "Normas de la casa",
        "La basura se recoge los martes y los viernes. Los cartones se dejan en el patio.",
        "¿Cuándo se recoge la basura?",
        "¿Quién pintó el Guernica?",
        "¿Cuándo se juega la final?",
    ),
    "Swahili": Language(
        "Kanuni za ofisi",
        "Mishahara hulipwa tarehe ishirini na nane ya kila mwezi. Likizo huombwa kwa meneja.",
        "Mishahara hulipwa lini?",
        "Mlima Kilimanjaro uko wapi?",
        "Treni hufika lini?",
    ),
    "Swedish": Language(
        "Ordningsregler",
        "Tvättstugan bokas på tavlan i källaren. Luddfiltret rengörs efter varje tvätt.",
        "Var bokas tvättstugan?",
        "Vem skrev Pippi Långstrump?",
        "Var växer apelsiner?",
    ),
    "Thai": Language(
        "ระเบียบสำนักงาน",
        "ห้องสมุดเปิดทุกวันจันทร์ถึงวันศุกร์ เวลาเก้าโมงเช้า",
        "ห้องสมุดเปิดวันไหน",
        "ใครเป็นคนแต่งเพลงชาติไทย",
        "พระจันทร์เต็มดวงวันไหน",
    ),
    "Turkish": Language(
        "Ofis kuralları",
        "Yangın tatbikatı her yıl mayıs ayında yapılır. Toplanma yeri bahçedir.",
        "Yangın tatbikatı ne zaman yapılır?",
        "Ayasofya'yı kim yaptırdı?",
        "Dünya kupası ne zaman başlar?",
    ),
    "Ukrainian": Language(
        "Правила офісу",
        "Воду для кулера замовляє адміністратор щочетверга. Порожні бутлі стоять біля сходів.",
        "Хто замовляє воду для кулера?",
        "Коли народився Тарас Шевченко?",
        "Хто вигадав ліки для серця?",
    ),
    "Urdu": Language(
        "دفتر کے اصول",
        "چائے کا وقفہ گیارہ بجے ہوتا ہے۔ برتن باورچی خانے میں رکھیں۔",
        "چائے کا وقفہ کب ہوتا ہے؟",
        "تاج محل کس نے بنوایا؟",
        "سورج گرہن کب ہوتا ہے؟",
    ),
    "Vietnamese": Language(
        "Nội quy văn phòng",
        "Máy chiếu được cất trong tủ cạnh phòng họp. Chìa khóa do lễ tân giữ.",
        "Máy chiếu được cất ở đâu?",
        "Ai đã viết Truyện Kiều?",
        "Tháp Eiffel được xây ở đâu?",
    ),
    # The lists know none of these.
    "Albanian": Language(
        "Rregullat e zyrës",
        "Çelësat e garazhit mbahen te roja. Garazhi mbyllet në orën tetë.",
        "Ku mbahen çelësat e garazhit?",
        "Kush e pikturoi Mona Lizën?",
        "Ku jetojnë tigrat e bardhë?",
    ),
    "Georgian": Language(
        "ოფისის წესები",
        "ბიბლიოთეკა იხსნება დილის ცხრა საათზე. წიგნები ბრუნდება ორ კვირაში.",
        "როდის იხსნება ბიბლიოთეკა?",
        "ვინ დაწერა ვეფხისტყაოსანი?",
        "როდის დაიბადა მოცარტი?",
    ),
    "Icelandic": Language(
        "Húsreglur",
        "Sundlaugin opnar klukkan sjö á morgnana. Handklæði fást í afgreiðslunni.",
        "Hvenær opnar sundlaugin?",
        "Hver samdi Brennu-Njáls sögu?",
        "Hvenær fæddist Mozart?",
    ),
    "Kazakh": Language(
        "Кеңсе ережелері",
        "Асхана таңғы сегізде ашылады. Кілттер күзетшіде сақталады.",
        "Асхана қашан ашылады?",
        "Абай Құнанбаев қайда туған?",
        "Моцарт қашан туған?",
    ),
    "Serbian": Language(
        "Правила канцеларије",
        "Теретана се отвара у седам ујутру. Пешкири су у ормару.",
        "Када се отвара теретана?",
        "Ко је написао роман На Дрини ћуприја?",
        "Када се родио Моцарт?",
    ),
    "Tamil": Language(
        "அலுவலக விதிகள்",
        "நூலகம் காலை ஒன்பது மணிக்கு திறக்கும். புத்தகங்களை இரண்டு வாரங்களில் திருப்பித் தரவும்.",
        "நூலகம் எப்போது திறக்கும்?",
        "தாஜ்மகாலை யார் கட்டினார்?",
        "மொசார்ட் எப்போது பிறந்தார்?",
    ),
}  # fmt: skip
