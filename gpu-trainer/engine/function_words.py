"""Frequent function words by language, in small letters and without accents, as the tokeniser leaves them."""

FUNCTION_WORDS = {
    "English": """the and of to is that for with you was this are have not be from your will it they he she we his her but or which who what an as
        at by if there their would been has had can do does my me our when how than them these its were about into could""",
    "German": """der die das und ist nicht ein eine einen einem einer mit auf den dem des sich von wir ich sie er es zu haben hat auch im am als wie
        wenn aber oder fur noch nur werden wird sind war kann man bei nach aus was mir mich du dir dich kein keine uber durch so dass zum zur sein""",
    "French": """le la les des est et une un dans pour que qui sur pas avec nous vous du au aux sont cette ce ces il elle ils je tu on en ne se sa son
        ses mais ou plus par de mon ma mes leur quel quelle fait comme tout suis etre avoir meme bien tres peut y""",
    "Spanish": """el la los las y una un por con para que del es se su sus no como mas pero esta este lo le les al en de me te mi si ya cuando muy
        sin sobre todo hay quien porque nos son ser tiene ha yo tu eso fue donde tambien nada""",
    "Italian": """il lo la gli le i della delle dei del di che e una un uno per con non sono si alla al nel nella questo questa anche ma come da
        in ci se mi ti piu quando tutto tutti ha ho hai suo sua io chi perche era essere solo sui dal dalla cosa""",
    "Portuguese": """o a os as uma um nao com para que do da dos das em se por mais foi como ao e no na nos nas eu voce ele ela mas quando muito
        ja esta isso este sua seu meu minha tem ser sao quem qual ou ate sem pelo pela sobre tudo""",
    "Dutch": """de het een van niet en dat zijn met voor op te ik ook aan maar er om hij je we wij ze die dit bij naar uit nog wel geen als wat
        heeft heb hebben wordt kan mijn jij u deze door over dan zo is in moet meer""",
    "Swedish": """och att det som en ett pa ar av for med den till inte om jag har de du var vi kan han hon sa men fran eller nar ska mig min
        nagot mycket vad hur detta dig sig sin blir vara finns""",
    "Danish": """og at det som en et pa er af for med den til ikke om jeg har de du var vi kan han hun sa men fra eller nar skal mig min noget
        meget hvad hvordan dette dig sig sin bliver være der""",
    "Norwegian": """og at det som en et pa er av for med den til ikke om jeg har de du var vi kan han hun sa men fra eller nar skal meg min noe
        mye hva hvordan dette deg seg sin blir være det""",
    "Finnish": "ja on ei se etta en mutta kun niin han mina sina ovat oli voi myos kuin tai jos mita tama siita ole minun sen",
    "Polish": """nie i w na sie z do to jest ze jak co o po ale od za tak ja mnie dla czy przez byc moze tylko juz byl sa ten jego jej gdy kto""",
    "Czech": "se na je ze to v s z do jak co ale pro tak jsem by jsou byl nebo jen uz kdyz ten ktery ani po za ma mi si",
    "Romanian": "si nu in de la cu pe un o este sa ca ce din mai care am ai ne sunt pentru dar fi fost se lui",
    "Hungarian": "a az es nem hogy van is egy meg csak ha mint de volt ez ki en mi te el vagy kell mert mar nagyon",
    "Turkish": """ve bir bu da de icin ne ile cok ama gibi daha var mi ben sen o ki degil kadar olarak olan en her ya biz bana sonra yok
        bunu seni beni nasıl degilim bile iyi""",
    "Indonesian": """yang dan di ini itu dengan untuk tidak dari dalam akan pada saya anda kamu adalah ke karena bisa ada juga dapat aku atau
        mereka oleh seperti lebih apa kita sudah tapi hanya bukan sangat semua""",
}
